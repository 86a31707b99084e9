;; The two loops in which a training spends its time, four numbers at once. `kernel.js` holds what
;; this compiles to, and the command. Addresses and distances are in bytes.
(module
  (import "memory" "memory" (memory 1))

  ;; C += A B, on whole tiles of 4 rows and 8 columns: what is left over is the caller's. From an
  ;; entry of A it is `down` to the next row and `along` to the next column, so that A may lie
  ;; turned; the rows of B and C are `stride` long.
  (func (export "addProduct")
    (param $A i32) (param $down i32) (param $along i32) (param $B i32) (param $C i32)
    (param $stride i32) (param $rows i32) (param $columns i32) (param $inner i32)
    (local $j i32) (local $p i32) (local $a i32) (local $b i32) (local $c i32)
    (local $down2 i32) (local $down3 i32)
    (local $each v128) (local $left v128) (local $right v128)
    (local $c0 v128) (local $c1 v128) (local $c2 v128) (local $c3 v128)
    (local $d0 v128) (local $d1 v128) (local $d2 v128) (local $d3 v128)
    (local.set $down2 (i32.shl (local.get $down) (i32.const 1)))
    (local.set $down3 (i32.add (local.get $down2) (local.get $down)))
    (block $no_more_rows
      (loop $next_rows
        (br_if $no_more_rows (i32.lt_s (local.get $rows) (i32.const 4)))
        (local.set $j (i32.const 8))
        (block $no_more_columns
          (loop $next_columns
            (br_if $no_more_columns (i32.gt_s (local.get $j) (local.get $columns)))
            (local.set $b (i32.sub (i32.shl (local.get $j) (i32.const 2)) (i32.const 32)))
            (local.set $c (i32.add (local.get $C) (local.get $b)))
            (local.set $b (i32.add (local.get $B) (local.get $b)))
            (local.set $a (local.get $A))
            (local.set $p (local.get $inner))
            (local.set $c0 (v128.const f32x4 0 0 0 0))
            (local.set $c1 (local.get $c0))
            (local.set $c2 (local.get $c0))
            (local.set $c3 (local.get $c0))
            (local.set $d0 (local.get $c0))
            (local.set $d1 (local.get $c0))
            (local.set $d2 (local.get $c0))
            (local.set $d3 (local.get $c0))
            (loop $next_inner
              (local.set $left (v128.load (local.get $b)))
              (local.set $right (v128.load offset=16 (local.get $b)))
              (local.set $each (v128.load32_splat (local.get $a)))
              (local.set $c0 (f32x4.add (local.get $c0)
                (f32x4.mul (local.get $each) (local.get $left))))
              (local.set $d0 (f32x4.add (local.get $d0)
                (f32x4.mul (local.get $each) (local.get $right))))
              (local.set $each
                (v128.load32_splat (i32.add (local.get $a) (local.get $down))))
              (local.set $c1 (f32x4.add (local.get $c1)
                (f32x4.mul (local.get $each) (local.get $left))))
              (local.set $d1 (f32x4.add (local.get $d1)
                (f32x4.mul (local.get $each) (local.get $right))))
              (local.set $each
                (v128.load32_splat (i32.add (local.get $a) (local.get $down2))))
              (local.set $c2 (f32x4.add (local.get $c2)
                (f32x4.mul (local.get $each) (local.get $left))))
              (local.set $d2 (f32x4.add (local.get $d2)
                (f32x4.mul (local.get $each) (local.get $right))))
              (local.set $each
                (v128.load32_splat (i32.add (local.get $a) (local.get $down3))))
              (local.set $c3 (f32x4.add (local.get $c3)
                (f32x4.mul (local.get $each) (local.get $left))))
              (local.set $d3 (f32x4.add (local.get $d3)
                (f32x4.mul (local.get $each) (local.get $right))))
              (local.set $a (i32.add (local.get $a) (local.get $along)))
              (local.set $b (i32.add (local.get $b) (local.get $stride)))
              (local.set $p (i32.sub (local.get $p) (i32.const 1)))
              (br_if $next_inner (local.get $p)))
            (call $addPair (local.get $c) (local.get $c0) (local.get $d0))
            (local.set $c (i32.add (local.get $c) (local.get $stride)))
            (call $addPair (local.get $c) (local.get $c1) (local.get $d1))
            (local.set $c (i32.add (local.get $c) (local.get $stride)))
            (call $addPair (local.get $c) (local.get $c2) (local.get $d2))
            (local.set $c (i32.add (local.get $c) (local.get $stride)))
            (call $addPair (local.get $c) (local.get $c3) (local.get $d3))
            (local.set $j (i32.add (local.get $j) (i32.const 8)))
            (br $next_columns)))
        (local.set $A (i32.add (local.get $A) (i32.shl (local.get $down) (i32.const 2))))
        (local.set $C (i32.add (local.get $C) (i32.shl (local.get $stride) (i32.const 2))))
        (local.set $rows (i32.sub (local.get $rows) (i32.const 4)))
        (br $next_rows))))

  (func $addPair (param $c i32) (param $left v128) (param $right v128)
    (v128.store (local.get $c) (f32x4.add (v128.load (local.get $c)) (local.get $left)))
    (v128.store offset=16 (local.get $c)
      (f32x4.add (v128.load offset=16 (local.get $c)) (local.get $right))))

  ;; In place: rows of scores become attention. Row i sees the first i mod `width` + 1 of its
  ;; `width` entries, which is a multiple of 4.
  (func (export "attend")
    (param $row i32) (param $rows i32) (param $width i32) (param $scale f32)
    (local $seen i32) (local $end i32) (local $at i32)
    (local $all v128) (local $x v128) (local $top v128) (local $sum v128) (local $most f32)
    (local.set $all (f32x4.splat (local.get $scale)))
    (local.set $width (i32.shl (local.get $width) (i32.const 2)))
    (loop $next_row
      (local.set $seen (i32.add (local.get $seen) (i32.const 4)))
      (if (i32.gt_s (local.get $seen) (local.get $width))
        (then (local.set $seen (i32.const 4))))
      (local.set $end (i32.add (local.get $row) (local.get $width)))
      ;; what is not seen yet
      (local.set $at (i32.add (local.get $row) (local.get $seen)))
      (block $all_hidden
        (loop $next_hidden
          (br_if $all_hidden (i32.ge_u (local.get $at) (local.get $end)))
          (f32.store (local.get $at) (f32.const -inf))
          (local.set $at (i32.add (local.get $at) (i32.const 4)))
          (br $next_hidden)))
      ;; the largest
      (local.set $top (v128.const f32x4 -inf -inf -inf -inf))
      (local.set $at (local.get $row))
      (loop $next_top
        (local.set $top (f32x4.max (local.get $top) (v128.load (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br_if $next_top (i32.lt_u (local.get $at) (local.get $end))))
      (local.set $most (f32.max
        (f32.max (f32x4.extract_lane 0 (local.get $top)) (f32x4.extract_lane 1 (local.get $top)))
        (f32.max (f32x4.extract_lane 2 (local.get $top)) (f32x4.extract_lane 3 (local.get $top)))))
      (local.set $top (f32x4.splat (local.get $most)))
      ;; exponentials and their sum
      (local.set $sum (v128.const f32x4 0 0 0 0))
      (local.set $at (local.get $row))
      (loop $next_exp
        (local.set $x (call $exp (f32x4.mul (local.get $all)
          (f32x4.sub (v128.load (local.get $at)) (local.get $top)))))
        (v128.store (local.get $at) (local.get $x))
        (local.set $sum (f32x4.add (local.get $sum) (local.get $x)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br_if $next_exp (i32.lt_u (local.get $at) (local.get $end))))
      (local.set $sum (f32x4.splat (f32.div (f32.const 1) (f32.add
        (f32.add (f32x4.extract_lane 0 (local.get $sum)) (f32x4.extract_lane 1 (local.get $sum)))
        (f32.add (f32x4.extract_lane 2 (local.get $sum))
          (f32x4.extract_lane 3 (local.get $sum)))))))
      (local.set $at (local.get $row))
      (loop $next_share
        (v128.store (local.get $at) (f32x4.mul (v128.load (local.get $at)) (local.get $sum)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br_if $next_share (i32.lt_u (local.get $at) (local.get $end))))
      (local.set $row (local.get $end))
      (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
      (br_if $next_row (local.get $rows))))

  ;; e^x of x at most 0, and 0 below -87: 2^n times a polynomial of what is left, |r| <= ln(2) / 2.
  ;; Source: the coefficients of expf in Cephes (Moshier), error below 1e-7.
  (func $exp (param $x v128) (result v128)
    (local $n v128) (local $r v128) (local $y v128)
    (local.set $r (f32x4.max (local.get $x) (v128.const f32x4 -87 -87 -87 -87)))
    (local.set $n (f32x4.nearest (f32x4.mul (local.get $r)
      (v128.const f32x4 1.44269504 1.44269504 1.44269504 1.44269504))))
    (local.set $r (f32x4.sub (local.get $r) (f32x4.mul (local.get $n)
      (v128.const f32x4 0.693359375 0.693359375 0.693359375 0.693359375))))
    (local.set $r (f32x4.add (local.get $r) (f32x4.mul (local.get $n)
      (v128.const f32x4 2.12194440e-4 2.12194440e-4 2.12194440e-4 2.12194440e-4))))
    (local.set $y (v128.const f32x4 1.98756915e-4 1.98756915e-4 1.98756915e-4 1.98756915e-4))
    (local.set $y (f32x4.add (f32x4.mul (local.get $y) (local.get $r))
      (v128.const f32x4 1.39819995e-3 1.39819995e-3 1.39819995e-3 1.39819995e-3)))
    (local.set $y (f32x4.add (f32x4.mul (local.get $y) (local.get $r))
      (v128.const f32x4 8.33345191e-3 8.33345191e-3 8.33345191e-3 8.33345191e-3)))
    (local.set $y (f32x4.add (f32x4.mul (local.get $y) (local.get $r))
      (v128.const f32x4 4.16657959e-2 4.16657959e-2 4.16657959e-2 4.16657959e-2)))
    (local.set $y (f32x4.add (f32x4.mul (local.get $y) (local.get $r))
      (v128.const f32x4 0.166666655 0.166666655 0.166666655 0.166666655)))
    (local.set $y (f32x4.add (f32x4.mul (local.get $y) (local.get $r))
      (v128.const f32x4 0.5 0.5 0.5 0.5)))
    (local.set $y (f32x4.add (f32x4.mul (local.get $y) (f32x4.mul (local.get $r) (local.get $r)))
      (f32x4.add (local.get $r) (v128.const f32x4 1 1 1 1))))
    (v128.and
      (f32x4.mul (local.get $y) (i32x4.shl
        (i32x4.add (i32x4.trunc_sat_f32x4_s (local.get $n)) (v128.const i32x4 127 127 127 127))
        (i32.const 23)))
      (f32x4.ge (local.get $x) (v128.const f32x4 -87 -87 -87 -87)))))
