//! The programs that run inside of the build of an opam package (`runtime/`), as real processes:
//! each scenario under every awk that is installed (mawk, gawk).

mod install;
mod installer;
mod programs;
mod support;
mod syntax;
mod variables;
