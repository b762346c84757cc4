;; Gives a reason that is no text.
(memory (export "memory") 1)
(data (i32.const 2048) "\00\00\00\00\01\00\00\00\00\10\00\00\03\00\00\00")
(data (i32.const 4096) "\ff\fe\80")
(func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
(func (export "transform") (param i32) (result i32) i32.const 2048)
