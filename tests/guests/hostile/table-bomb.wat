;; Grows a table without end.
(memory (export "memory") 1)
(table $t 1 funcref)
(func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
(func (export "transform") (param i32) (result i32)
  (loop $more
    (drop (table.grow $t (ref.null func) (i32.const 10000)))
    (br $more))
  unreachable)
