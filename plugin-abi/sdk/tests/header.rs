//! The C header: it is made of the types.
#![allow(clippy::unwrap_used)]

use cbindgen::{Builder, Config, Language};
use std::{fs, path::Path};

/// Makes the test write what it would compare.
const UPDATE: &str = "X2NIX_UPDATE_SCHEMAS";

const TYPES: [&str; 6] = [
    "X2nixBuffer",
    "X2nixHost",
    "X2nixPluginBegin",
    "X2nixPluginCall",
    "X2nixPluginFree",
    "X2nixPluginEnd",
];

const FUNCTIONS: &str = "\
/* What a plugin defines; see the types above. */
extern const char x2nix_plugin_manifest[];
void *x2nix_plugin_begin(const X2nixHost *host);
int32_t x2nix_plugin_call(void *conversation, const uint8_t *method, uintptr_t method_length,
                          const uint8_t *request, uintptr_t request_length, X2nixBuffer *answer);
void x2nix_plugin_free(void *conversation, X2nixBuffer answer);
void x2nix_plugin_end(void *conversation);
";

#[test]
fn the_header_is_that_of_the_types() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = Config {
        language: Language::C,
        cpp_compat: true,
        documentation_style: cbindgen::DocumentationStyle::C,
        include_guard: Some("X2NIX_PLUGIN_H".into()),
        header: Some(
            "/* The C interface of a plugin of x2nix, made from plugin-abi/protocol/src/abi.rs. */"
                .into(),
        ),
        export: cbindgen::ExportConfig {
            include: TYPES.map(str::to_owned).to_vec(),
            ..cbindgen::ExportConfig::default()
        },
        trailer: Some(FUNCTIONS.into()),
        ..Config::default()
    };
    let mut header = Vec::new();
    Builder::new()
        .with_config(config)
        .with_src(here.join("../protocol/src/abi.rs"))
        .generate()
        .unwrap()
        .write(&mut header);
    let header = String::from_utf8(header).unwrap();
    let file = here.join("include/x2nix_plugin.h");
    if std::env::var_os(UPDATE).is_some() {
        fs::write(file, header).unwrap();
    } else {
        assert_eq!(fs::read_to_string(file).unwrap(), header, "run it with {UPDATE}=1");
    }
}
