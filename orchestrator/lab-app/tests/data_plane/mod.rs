//! Hubs, recorder and recordings against an agent in memory. Time is paused: a retry of five seconds costs none.

mod export;
mod input;
mod output;
mod recorder;
mod rig;
mod seat;
mod standby;
mod wall;
