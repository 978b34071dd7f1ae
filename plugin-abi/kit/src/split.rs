//! The same conversation, cut into questions of one thing each.

use std::sync::Arc;
use x2nix_protocol::{
    BuildAnswer, BuildRequest, Describe, DetailsAnswer, DetailsRequest, FactsAnswer, FactsRequest,
    Host, MembersAnswer, MembersRequest, OpenRequest, Opened, Plugin, PluginResult, Session,
};

/// A plugin that is asked for one name and one set at a time.
pub(crate) struct Split {
    pub(crate) plugin: Arc<dyn Plugin>,
    /// The last one first.
    pub(crate) backwards: bool,
}

struct SplitSession {
    session: Box<dyn Session>,
    backwards: bool,
}

impl Plugin for Split {
    fn describe(&self) -> Describe {
        self.plugin.describe()
    }

    fn open(&self, host: Arc<dyn Host>, request: &OpenRequest) -> PluginResult<Opened> {
        let Opened { session, answer } = self.plugin.open(host, request)?;
        let session = SplitSession { session, backwards: self.backwards };
        Ok(Opened { session: Box::new(session), answer })
    }
}

impl SplitSession {
    /// The things, each as a list of its own, in the order of asking.
    fn cut<T: Copy>(&self, all: &[T]) -> Vec<Vec<T>> {
        let mut parts: Vec<_> = all.iter().map(|&one| vec![one]).collect();
        if self.backwards {
            parts.reverse();
        }
        parts
    }
}

impl Session for SplitSession {
    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer> {
        let mut whole = FactsAnswer::default();
        for names in self.cut(&request.names) {
            let mut part = self.session.facts(&FactsRequest { names })?;
            // Numbers are given in the order of announcement.
            whole.dictionary.names.append(&mut part.dictionary.names);
            whole.dictionary.sets.append(&mut part.dictionary.sets);
            whole.dictionary.classes.append(&mut part.dictionary.classes);
            whole.packages.append(&mut part.packages);
            whole.notes.append(&mut part.notes);
        }
        if self.backwards {
            whole.packages.reverse();
        }
        Ok(whole)
    }

    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        let mut whole = MembersAnswer::default();
        for sets in self.cut(&request.sets) {
            whole.sets.append(&mut self.session.members(&MembersRequest { sets })?.sets);
        }
        if self.backwards {
            whole.sets.reverse();
        }
        Ok(whole)
    }

    fn details(&mut self, request: &DetailsRequest) -> PluginResult<DetailsAnswer> {
        let mut whole = DetailsAnswer::default();
        for candidates in self.cut(&request.candidates) {
            let mut part = self.session.details(&DetailsRequest { candidates })?;
            whole.dictionary.names.append(&mut part.dictionary.names);
            whole.dictionary.sets.append(&mut part.dictionary.sets);
            whole.dictionary.classes.append(&mut part.dictionary.classes);
            whole.candidates.append(&mut part.candidates);
            whole.notes.append(&mut part.notes);
        }
        if self.backwards {
            whole.candidates.reverse();
        }
        Ok(whole)
    }

    fn build(&mut self, request: &BuildRequest) -> PluginResult<BuildAnswer> {
        self.session.build(request)
    }
}
