#pragma once
#include <stddef.h>
void *workspace(size_t bytes);
void workspace_trim(void);
