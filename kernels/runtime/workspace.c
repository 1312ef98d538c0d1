#include "workspace.h"
#include <stdlib.h>
static __thread void*p; static __thread size_t n;
void *workspace(size_t bytes){ if(bytes>n){free(p);n=(bytes+4095)&~4095ul;p=aligned_alloc(4096,n);} return p;}
void workspace_trim(void){}
