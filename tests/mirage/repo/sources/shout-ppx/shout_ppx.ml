(* [%shout "text"] is the text, loud: done while compiling. Prints the file that it is given, rewritten. *)
open Parsetree

let rewrite =
  let expr mapper expression =
    match expression.pexp_desc with
    | Pexp_extension
        ( { txt = "shout"; _ },
          PStr [ { pstr_desc = Pstr_eval ({ pexp_desc = Pexp_constant { pconst_desc = Pconst_string (text, at, quote); _ }; _ } as inner, _); _ } ] ) ->
        let pconst_desc = Pconst_string (Wordlist.shout text, at, quote) in
        { inner with pexp_desc = Pexp_constant { pconst_desc; pconst_loc = at } }
    | _ -> Ast_mapper.default_mapper.expr mapper expression
  in
  { Ast_mapper.default_mapper with expr }

let () =
  let file = Sys.argv.(1) in
  let tree = Pparse.parse_implementation ~tool_name:"shout-ppx" file in
  Format.printf "%a@." Pprintast.structure (rewrite.structure rewrite tree)
