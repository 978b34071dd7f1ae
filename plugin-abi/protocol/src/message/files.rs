//! Files that follow a document.
//!
//! By size, files are most of what crosses the border, and they are full of line ends and quotes, which a text of
//! JSON can have only escaped: writing and reading that took a quarter of all that carrying cost. So a plugin
//! may say that it takes them behind the document:
//!
//! ```text
//! {"files":[{"found":{"following":6}},"missing",{"found":{"following":3}}]} NUL hello\n bye
//! ```
//!
//! No document has a zero byte, so the first one ends it. All of it stays a text, as every message is: what is not
//! UTF-8 is in the document as before. A host that does not know of this answers as before, and so does a tape.

use crate::{Blob, FileContent, ReadAnswer, ReadRequest, TreeId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// [`ReadRequest`] as a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadQuestion {
    /// The tree.
    pub tree: TreeId,
    /// The files.
    pub paths: Vec<String>,
    /// Whether the contents may follow the document of the answer.
    #[serde(default, skip_serializing_if = "crate::facts::is_default")]
    pub following: bool,
}

impl ReadQuestion {
    /// A question whose answer may have its contents behind it.
    pub(super) fn of(request: &ReadRequest) -> Self {
        Self { tree: request.tree, paths: request.paths.clone(), following: true }
    }

    /// The question without how it is to be answered.
    pub fn request(self) -> ReadRequest {
        ReadRequest { tree: self.tree, paths: self.paths }
    }
}

#[derive(Serialize, Deserialize)]
struct Document<B> {
    files: Vec<Content<B>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Content<B> {
    Found(B),
    Missing,
    Unreadable(String),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Told<'a> {
    Following { following: usize },
    Whole(&'a Blob),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Heard {
    Following { following: usize },
    Whole(Blob),
}

/// The text of an answer with its contents behind it.
pub(super) fn write(answer: &ReadAnswer) -> serde_json::Result<Vec<u8>> {
    let mut behind = Vec::new();
    let mut files = Vec::with_capacity(answer.files.len());
    for file in &answer.files {
        files.push(match file {
            FileContent::Found(blob) => Content::Found(match blob.text() {
                Some(text) => {
                    behind.push(text);
                    Told::Following { following: text.len() }
                }
                None => Told::Whole(blob),
            }),
            FileContent::Missing => Content::Missing,
            FileContent::Unreadable(why) => Content::Unreadable(why.clone()),
        });
    }
    let document = serde_json::to_vec(&Document { files })?;
    let length = behind.iter().map(|text| text.len()).sum::<usize>();
    let mut text = Vec::with_capacity(document.len() + 1 + length);
    text.extend_from_slice(&document);
    text.push(0);
    for behind in behind {
        text.extend_from_slice(behind.as_bytes());
    }
    Ok(text)
}

/// The answer in a text, wherever its contents are.
pub(super) fn read(text: &[u8]) -> Result<ReadAnswer, String> {
    let Some(end) = text.iter().position(|&byte| byte == 0) else {
        return serde_json::from_slice(text).map_err(|error| error.to_string());
    };
    let document: Document<Heard> =
        serde_json::from_slice(&text[..end]).map_err(|error| error.to_string())?;
    let mut behind = &text[end + 1..];
    let mut files = Vec::with_capacity(document.files.len());
    for file in document.files {
        files.push(match file {
            Content::Found(Heard::Whole(blob)) => FileContent::Found(blob),
            Content::Found(Heard::Following { following }) => {
                let (content, rest) =
                    behind.split_at_checked(following).ok_or("less follows than it says")?;
                behind = rest;
                FileContent::Found(Blob(content.to_vec()))
            }
            Content::Missing => FileContent::Missing,
            Content::Unreadable(why) => FileContent::Unreadable(why),
        });
    }
    if behind.is_empty() {
        Ok(ReadAnswer { files })
    } else {
        Err("more follows than it says".into())
    }
}

/// An answer that may have contents behind it, as one document.
pub fn whole(text: &[u8]) -> Option<Vec<u8>> {
    if !text.contains(&0) {
        return None;
    }
    serde_json::to_vec(&read(text).ok()?).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn found(bytes: &[u8]) -> FileContent {
        FileContent::Found(Blob(bytes.into()))
    }

    #[test]
    fn what_is_written_is_read_again_and_is_a_text() {
        for files in [
            vec![],
            vec![found(b"")],
            vec![found("\"lines\"\n\\ é ☃\n".as_bytes()), FileContent::Missing, found(b"x")],
            vec![FileContent::Unreadable("a \"reason\"\n".into()), found(&[0xff, 0xfe])],
            vec![found(b"\0"), found(b"a\0b"), found(b"c")],
        ] {
            let answer = ReadAnswer { files };
            let text = write(&answer).unwrap();
            assert!(std::str::from_utf8(&text).is_ok());
            assert_eq!(read(&text).unwrap(), answer);
            // A tape has it as any other document, and that is read as well.
            let plain = serde_json::to_vec(&answer).unwrap();
            assert_eq!(whole(&text), Some(plain.clone()));
            assert_eq!(read(&plain).unwrap(), answer);
            assert_eq!(whole(&plain), None);
        }
    }

    #[test]
    fn what_does_not_add_up_is_refused() {
        for text in [
            "{\"files\":[{\"found\":{\"following\":3}}]}\0ab",
            "{\"files\":[{\"found\":{\"following\":1}}]}\0ab",
            "{\"files\":[{\"found\":{\"following\":18446744073709551615}}]}\0ab",
            "{\"files\":[{\"found\":{\"following\":-1}}]}\0",
            "{\"files\":[{\"found\":{\"following\":1}}]}",
            "{\"files\":[]}\0a",
            "{\"files\":[]\0",
            "\0",
            "",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
