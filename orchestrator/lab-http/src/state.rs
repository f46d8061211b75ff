//! What every handler shares. Cheap to clone; one lock in it, for a copy.

use crate::{HttpSettings, observe::HttpMetrics, origin::origin_of, pages::Pages};
use bytes::Bytes;
use lab_app::App;
use std::{collections::HashMap, path::Path, sync::Arc};

/// See the module's doc.
#[derive(Clone)]
pub(crate) struct HttpState {
    pub app: Arc<App>,
    pub settings: Arc<HttpSettings>,
    /// Origin of the public address.
    pub origin: Arc<str>,
    pub metrics: HttpMetrics,
    pub pages: &'static Pages,
    /// Recorded demonstrations by lab.
    pub demos: Arc<HashMap<String, Bytes>>,
    /// The last look at whether we can serve, for a second; locked to copy it in or out, nothing else.
    pub readiness: Arc<std::sync::Mutex<crate::probes::Readiness>>,
}

impl HttpState {
    pub fn new(app: Arc<App>, settings: HttpSettings) -> Self {
        let metrics =
            HttpMetrics::register(&settings.registry).expect("one router per registry: a second one would count twice");
        Self {
            origin: origin_of(&settings.public_url).unwrap_or_default().into(),
            demos: Arc::new(settings.demos.as_deref().map(demos).unwrap_or_default()),
            pages: Pages::shared(),
            readiness: Arc::default(),
            settings: Arc::new(settings),
            metrics,
            app,
        }
    }
}

/// A demonstration is ten minutes of a router's console, some 200 KB; ten times that is not one of ours.
const DEMO_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// `<folder>/<image>/labs/<lab>/demo.cast` is as deep as ours lie.
const DEMO_DEPTH: usize = 3;

/// Every `<lab>/demo.cast` in the folder, read once: no request ever names a file.
fn demos(folder: &Path) -> HashMap<String, Bytes> {
    let mut found = HashMap::new();
    collect(folder, DEMO_DEPTH, &mut found);
    found
}

fn collect(folder: &Path, depth: usize, found: &mut HashMap<String, Bytes>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        // not through symbolic links: they could lead round in circles
        if !entry.file_type().is_ok_and(|t| t.is_dir()) {
            continue;
        }
        let file = entry.path().join("demo.cast");
        let fits = file.metadata().is_ok_and(|m| m.is_file() && m.len() <= DEMO_BYTES_MAX);
        if let (true, Ok(name), Ok(cast)) = (fits, entry.file_name().into_string(), std::fs::read(&file)) {
            found.insert(name, cast.into());
        }
        if depth > 1 {
            collect(&entry.path(), depth - 1, found);
        }
    }
}
