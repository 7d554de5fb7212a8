; One layer on events, forward and backward: y = W max(x, 0), and dx for a given dy.
; W (4 by 6, 9 entries) is compressed by columns. The events of the forward pass are the residual:
; they say which units were active, so the backward pass visits the same columns and no others.
.memory SP 192
.memory WGT 64
.memory IDX 64
.queue 6
.row SP f32 [6] offset 0         ; &0: x
.row SP f32 [4] offset 64        ; &1: y, and dy
.row SP f32 [6] offset 128       ; &2: dx
.data IDX 0
.i32 0 2 3 5 5 8 9               ; column pointers
.i32 0 2 1 0 3 0 1 2 3           ; rows
.data WGT 0
.f32 0.5 -1.0 2.0 1.5 0.25 -0.5 1.0 0.75 -2.0
.matrix 4 6 9 pointers 0 row 28 values 0 dtype f32 codebook 0
.symbol "w" WGT 0 f32 [9]
.entry ["forward",0,[],[["x","f32",["6"],["at","SP",0,24]]],[["y","f32",["4"],["at","SP",64,16]]]]
.entry ["gradient",8,[],[["x","f32",["6"],["at","SP",0,24]],["dy","f32",["4"],["at","SP",64,16]]],[["dx","f32",["6"],["at","SP",128,24]]]]
.function "forward" frame 0 stack 0 tape 0
forward:
    td.const t0, &0
    td.const t1, &1
    w.const w0, %0
    ew.un t0, t0, relu
    ev.nz q0, t0, f0             ; f0 is 0 at the start
    t.fill t1, f0
    ev.mv t1, w0, q0             ; only the columns of active units
    halt
.function "gradient" frame 0 stack 0 tape 0
gradient:
    td.const t0, &0
    td.const t1, &1
    td.const t2, &2
    w.const w0, %0
    ew.un t0, t0, relu
    ev.nz q0, t0, f0
    t.fill t2, f0
    ev.mvt t2, w0, q0, t1        ; dx where a unit was active, 0 elsewhere
    halt
