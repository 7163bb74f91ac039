//! The agent, all but its link, on a simulated cluster: stories of a unit's life, and of what goes wrong in it.

mod drift;
mod faults;
mod life;
mod order;
mod variables;
mod world;
