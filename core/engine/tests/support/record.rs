//! A wrapper that keeps a copy of every document that passes.

use serde::Serialize;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use x2nix_protocol::*;

/// The documents: the name of the schema, and the document.
pub(crate) type Record = Arc<Mutex<Vec<(&'static str, Value)>>>;

/// A plugin, its sessions or its host, overheard.
pub(crate) struct Recording<T> {
    pub(crate) inner: T,
    pub(crate) record: Record,
}

impl<T> Recording<T> {
    fn keep(&self, name: &'static str, document: &impl Serialize) {
        let value = serde_json::to_value(document).expect("a document is JSON");
        self.record.lock().expect("nobody panicked").push((name, value));
    }

    fn kept<A: Serialize>(&self, name: &'static str, result: PluginResult<A>) -> PluginResult<A> {
        match &result {
            Ok(answer) => self.keep(name, answer),
            Err(error) => self.keep("diagnostic", error),
        }
        result
    }
}

impl<T: Plugin> Plugin for Recording<T> {
    fn describe(&self) -> Describe {
        let describe = self.inner.describe();
        self.keep("describe", &describe);
        describe
    }

    fn open(&self, host: Arc<dyn Host>, request: &OpenRequest) -> PluginResult<Opened> {
        self.keep("open-request", request);
        let host = Arc::new(Recording { inner: host, record: Arc::clone(&self.record) });
        let Opened { session, answer } = self.inner.open(host, request)?;
        let answer = self.kept("open-answer", Ok(answer))?;
        let session = Recording { inner: session, record: Arc::clone(&self.record) };
        Ok(Opened { session: Box::new(session), answer })
    }
}

impl Session for Recording<Box<dyn Session>> {
    fn names(&mut self) -> PluginResult<NamesAnswer> {
        let answer = self.inner.names();
        self.kept("names-answer", answer)
    }

    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer> {
        self.keep("facts-request", request);
        let answer = self.inner.facts(request);
        self.kept("facts-answer", answer)
    }

    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        self.keep("members-request", request);
        let answer = self.inner.members(request);
        self.kept("members-answer", answer)
    }

    fn details(&mut self, request: &DetailsRequest) -> PluginResult<DetailsAnswer> {
        self.keep("details-request", request);
        let answer = self.inner.details(request);
        self.kept("details-answer", answer)
    }

    fn build(&mut self, request: &BuildRequest) -> PluginResult<BuildAnswer> {
        self.keep("build-request", request);
        let answer = self.inner.build(request);
        self.kept("build-answer", answer)
    }

    fn export(&mut self, request: &ExportRequest) -> PluginResult<ExportAnswer> {
        self.keep("export-request", request);
        let answer = self.inner.export(request);
        self.kept("export-answer", answer)
    }
}

impl Host for Recording<Arc<dyn Host>> {
    fn list(&self, request: &ListRequest) -> PluginResult<ListAnswer> {
        self.keep("list-request", request);
        self.kept("list-answer", self.inner.list(request))
    }

    fn read(&self, request: &ReadRequest) -> PluginResult<ReadAnswer> {
        self.keep("read-request", request);
        self.kept("read-answer", self.inner.read(request))
    }
}
