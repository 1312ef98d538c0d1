#include "threads.h"
static int n_=1;
void parallel_for(task_fn f, void *context, ptrdiff_t count, ptrdiff_t grain, int threads){ for(ptrdiff_t i=0;i<count;i+=grain) f(context,i,i+grain<count?i+grain:count,0);}
int  threads_get(void){return n_;}
void threads_set(int n){n_=n;}
int  threads_override(int n){return 0;}
void threads_init(int n){}
