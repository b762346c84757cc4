;; Says that its answer's text has a gigabyte.
(memory (export "memory") 2)
(data (i32.const 2048) "\00\00\00\00\01\00\00\00\00\10\00\00\00\00\00\40")
(func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
(func (export "transform") (param i32) (result i32) i32.const 2048)
