#include "mkspool.h"
int flood_main(int argc, char **argv) { (void)argc; (void)argv; return 2; }
int replicate_main(int argc, char **argv) { (void)argc; (void)argv; return 2; }
