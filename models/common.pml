/* What the models have in common. */
#define BIT(s) (1 << (s))
#define MAX(a, b) ((a) > (b) -> (a) : (b))

/* The counterexample's last line says what was violated; models/check prints it. */
#define VIOLATED(what) printf(what); assert(false);

/* -DREACH asks whether something desirable can happen at all: then the search must "fail". */
#ifdef REACH
#define REACHED_IF(condition, what)                                          \
  if :: condition -> printf(what); assert(false) :: else fi;
#else
#define REACHED_IF(condition, what)
#endif

byte scratch; /* of one step; 0 between steps */
