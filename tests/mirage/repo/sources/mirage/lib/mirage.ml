type request = { target : string; config : string; arguments : string list }

let fail fmt = Printf.ksprintf (fun text -> prerr_endline ("mirage: " ^ text); exit 1) fmt

let request argv =
  let rec go request = function
    | ("-t" | "--target") :: target :: rest -> go { request with target } rest
    | ("-f" | "--file") :: config :: rest -> go { request with config } rest
    | "--no-extra-repo" :: rest -> go request rest
    | argument :: rest -> go { request with arguments = request.arguments @ [ argument ] } rest
    | [] -> request
  in
  match Array.to_list argv with
  | _ :: "configure" :: rest -> go { target = "unix"; config = "config.ml"; arguments = [] } rest
  | _ -> fail "usage: mirage configure [-f FILE] [-t TARGET] [ARGUMENT]..."

let rec folder path =
  if not (Sys.file_exists path) then (
    folder (Filename.dirname path);
    Sys.mkdir path 0o755)

let write path text =
  folder (Filename.dirname path);
  Out_channel.with_open_bin path (fun channel -> output_string channel text)

let lines = String.concat "\n"

(* What differs between targets. *)
let backend = function
  | "unix" -> ("default", "", [], "")
  | "spt" ->
      ( "mini",
        "(context (default (name mini) (host default) (toolchain mini)\n\
        \ (disable_dynamically_linked_foreign_archives true)))\n",
        [ "mini"; "ocaml-mini" ],
        ".spt" )
  | target -> fail "this miniature knows the targets unix and spt, not %s" target

let opam name target provided packages extension arguments =
  let workspace (package, bound) =
    Printf.sprintf "  %S { ?monorepo%s }" package (if bound = "" then "" else " & " ^ bound)
  in
  let host package = Printf.sprintf "  %S { build }" package in
  let provided = List.sort compare ("mirage" :: "opam-monorepo" :: provided) in
  lines
    ([ "opam-version: \"2.0\""; Printf.sprintf "synopsis: \"Unikernel %s\"" name;
       "maintainer: \"dummy\""; "build: [make \"build\"]";
       Printf.sprintf "install: [\n  [ \"cp\" \"dist/%s%s\" \"%%{bin}%%/%s%s\" ]\n]" name extension name extension;
       "depends: [" ]
    @ List.map host provided @ List.map workspace packages
    @ [ "]"; Printf.sprintf "x-mirage-configure: [\"sh\" \"-exc\" \"mirage configure -t %s %s\"]" target
          (String.concat " " arguments);
        Printf.sprintf "x-opam-monorepo-opam-provided: [%s]"
          (String.concat " " (List.map (Printf.sprintf "%S") provided)); "" ])

let register ?(packages = []) ?(libraries = []) name =
  let { target; config; arguments } = request Sys.argv in
  let context, workspace, provided, extension = backend target in
  let here = Filename.dirname config in
  let file = name ^ extension in
  let write_here path = write (Filename.concat here path) in
  write "dune-project" "(lang dune 3.0)\n";
  write "dune-workspace" ("(lang dune 3.0)\n(profile release)\n(context default)\n" ^ workspace);
  write_here "dune" "(include dune.build)\n";
  write_here "dune.build"
    (Printf.sprintf
       "(copy_files# ./mirage/main.ml)\n\
        (executable (name main) (modes exe) (modules :standard \\ config)\n\
       \ (enabled_if (= %%{context_name} %S)) (libraries %s))\n\
        (rule (target %s) (enabled_if (= %%{context_name} %S)) (action (copy main.exe %%{target})))\n"
       context (String.concat " " libraries) file context);
  write_here "dist/dune"
    (Printf.sprintf
       "(rule (mode (promote (until-clean))) (target %s) (enabled_if (= %%{context_name} %S))\n\
       \ (action (copy ../%s %%{target})))\n"
       file context file);
  write_here "mirage/main.ml"
    (Printf.sprintf "let () = Unikernel.start [%s]\n"
       (String.concat "; " (List.map (Printf.sprintf "%S") arguments)));
  write_here "mirage/manifest.json" "{ \"type\": \"solo5.manifest\", \"version\": 1, \"devices\": [] }\n";
  write_here
    (Printf.sprintf "mirage/%s-%s.opam" name target)
    (opam name target provided packages extension arguments)
