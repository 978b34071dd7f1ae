//! The plugin trait: what an ecosystem implements, whatever carries it.

use crate::{
    BuildAnswer, BuildRequest, Describe, DetailsAnswer, DetailsRequest, Diagnostic, ExportAnswer,
    ExportRequest, FactsAnswer, FactsRequest, Host, MembersAnswer, MembersRequest, NamesAnswer,
    OpenAnswer, OpenRequest,
};
use std::sync::Arc;

/// What a plugin's call gives: an answer, or the reason why there is none.
pub type PluginResult<T> = Result<T, Box<Diagnostic>>;

/// An ecosystem.
///
/// A plugin does no I/O of its own, starts no threads and reads neither clock nor environment: all
/// that it may know comes through its [`Host`] and the questions that it is asked. The same
/// questions over the same trees get the same answers.
pub trait Plugin: Send + Sync {
    /// Says who it is.
    fn describe(&self) -> Describe;

    /// Opens a session: reads the user's request against the inputs.
    fn open(&self, host: Arc<dyn Host>, request: &OpenRequest) -> PluginResult<Opened>;
}

/// An open session and its first answer.
pub struct Opened {
    /// Answers all further questions.
    pub session: Box<dyn Session>,
    /// What the request means.
    pub answer: OpenAnswer,
}

/// One conversation with a plugin.
pub trait Session: Send {
    /// States all that is known of some names.
    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer>;

    /// Says which candidates are in some sets.
    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer>;

    /// States what was deferred of some candidates; only asked of a plugin that defers.
    fn details(&mut self, request: &DetailsRequest) -> PluginResult<DetailsAnswer> {
        let _ = request;
        Err(Box::new(Diagnostic::not_supported("details of candidates")))
    }

    /// Lists every package that the inputs know, sorted; for taking stock, never for solving. A plugin
    /// whose ecosystem is too large to list says that it does not.
    fn names(&mut self) -> PluginResult<NamesAnswer> {
        Err(Box::new(Diagnostic::not_supported("listing all packages of this ecosystem")))
    }

    /// Says how the chosen candidates are built.
    fn build(&mut self, request: &BuildRequest) -> PluginResult<BuildAnswer>;

    /// Writes what was chosen for another tool; see [`Describe::exports`](crate::Describe::exports).
    fn export(&mut self, request: &ExportRequest) -> PluginResult<ExportAnswer> {
        Err(Box::new(Diagnostic::not_supported(&format!("the export {:?}", request.format))))
    }
}
