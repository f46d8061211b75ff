//! The chart's promises. `template` and its like need helm alone; `cluster` needs the test cluster (or KUBECONFIG's); `image` needs the
//! engine and the images of `make images`.

mod cluster;
mod image;
mod monitoring;
mod refusals;
mod security;
mod template;
