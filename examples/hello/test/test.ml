let () =
  Assay.equal ~expected:"HELLO, CAMEL! (10 letters, as C counts them)" (Phrase.for_name "camel");
  Assay.equal ~expected:"HELLO, ÉTé! (8 letters, as C counts them)" (Phrase.for_name "Été");
  Assay.finish ()
