//! What the API server's refusals mean here.

use super::CALL_WITHIN;
use lab_core::{SandboxId, port::RuntimeError};

/// One call, with its deadline.
pub(crate) async fn within<T>(
    operation: &'static str,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, RuntimeError> {
    plain(operation, call).await?.map_err(unavailable(operation))
}

/// The same, for callers that look at the refusal themselves.
pub(crate) async fn plain<T>(
    operation: &'static str,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<kube::Result<T>, RuntimeError> {
    tokio::time::timeout(CALL_WITHIN, call)
        .await
        .map_err(|late| RuntimeError::Unavailable {
            operation,
            source: late.into(),
        })
}

/// The API server did not do it.
pub(crate) fn unavailable(operation: &'static str) -> impl Fn(kube::Error) -> RuntimeError {
    move |source| RuntimeError::Unavailable {
        operation,
        source: source.into(),
    }
}

/// Why a `LabSandbox` was not made: what will be refused again is told apart from what may go another time.
pub(crate) fn not_made(id: SandboxId, error: kube::Error) -> RuntimeError {
    match &error {
        // a quota of objects: somebody's sandbox ends, and it goes
        kube::Error::Api(status) if status.code == 403 && status.message.contains("exceeded quota") => {
            unavailable("create")(error)
        }
        kube::Error::Api(status) if matches!(status.code, 400 | 403 | 422) => RuntimeError::Refused {
            id,
            message: status.message.clone(),
        },
        kube::Error::Api(status) if status.code == 404 => RuntimeError::Unavailable {
            operation: "create",
            source: "the cluster has no LabSandbox, or not this namespace; `labwire crd | kubectl apply -f -` makes the first".into(),
        },
        _ => unavailable("create")(error),
    }
}

/// The HTTP status of a refusal.
pub(crate) fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}
