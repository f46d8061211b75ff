//! Launch, entitlement, provisioning and metering, against fakes of every port and a scripted hub.

mod keyring;
mod kit;
mod metering;
mod outbox;
mod pools;
mod privacy;
mod provisioning;
mod queue;
mod random;
mod replicas;
