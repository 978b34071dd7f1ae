//! From facts and a request to a verified answer, or to an explanation why there is none.
