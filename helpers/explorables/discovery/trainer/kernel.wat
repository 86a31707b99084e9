;; The loops in which a training spends its time, four numbers at once. `kernel.js` holds what this
;; compiles to, and the command. Addresses, widths and distances are in bytes.
;;
;; A product that is added to a local stands as (f32x4.add (f32x4.mul x y) (local.get $sum)): of
;; these two `kernel.js` makes one instruction, where the browser has it.
(module
  (import "memory" "memory" (memory 1))

  ;; C = A B, or C += A B, on whole tiles of 4 rows and 8 columns: what is left over is the
  ;; caller's. From an entry of A it is `down` to the next row and `along` to the next column, so
  ;; that A may lie turned; the rows of B and C are `stride` long, and `width` of that is wanted.
  ;; `triangle` 1 asks for C only as far as its diagonal; in 2 A has nothing but zeros beyond its
  ;; own, in 3 nothing before it. `diagonal` is where the first row crosses it.
  (func (export "product")
    (param $A i32) (param $down i32) (param $along i32) (param $B i32) (param $C i32)
    (param $stride i32) (param $rows i32) (param $width i32) (param $inner i32)
    (param $isSum i32) (param $triangle i32) (param $diagonal i32)
    (local $wanted i32) (local $from i32) (local $to i32)
    (local.set $wanted (local.get $width))
    (local.set $to (local.get $inner))
    (block $no_more_rows
      (loop $next_rows
        (br_if $no_more_rows (i32.lt_s (local.get $rows) (i32.const 4)))
        (if (i32.eq (local.get $triangle) (i32.const 1))
          (then (local.set $wanted (call $smaller (local.get $width)
            (i32.and (i32.add (i32.shl (local.get $diagonal) (i32.const 2)) (i32.const 47))
              (i32.const -32))))))
        (if (i32.eq (local.get $triangle) (i32.const 2))
          (then (local.set $to (call $smaller (local.get $inner)
            (i32.add (local.get $diagonal) (i32.const 4))))))
        (if (i32.eq (local.get $triangle) (i32.const 3))
          (then (local.set $from (select (local.get $diagonal) (i32.const 0)
            (i32.gt_s (local.get $diagonal) (i32.const 0))))))
        (call $fourRows
          (i32.add (local.get $A) (i32.mul (local.get $from) (local.get $along)))
          (local.get $down) (local.get $along)
          (i32.add (local.get $B) (i32.mul (local.get $from) (local.get $stride)))
          (local.get $C) (local.get $stride) (local.get $wanted)
          (i32.sub (local.get $to) (local.get $from)) (local.get $isSum))
        (local.set $A (i32.add (local.get $A) (i32.shl (local.get $down) (i32.const 2))))
        (local.set $C (i32.add (local.get $C) (i32.shl (local.get $stride) (i32.const 2))))
        (local.set $rows (i32.sub (local.get $rows) (i32.const 4)))
        (local.set $diagonal (i32.add (local.get $diagonal) (i32.const 4)))
        (br $next_rows))))

  (func $smaller (param $a i32) (param $b i32) (result i32)
    (select (local.get $a) (local.get $b) (i32.lt_s (local.get $a) (local.get $b))))

  (func $fourRows
    (param $A i32) (param $down i32) (param $along i32) (param $B i32) (param $C i32)
    (param $stride i32) (param $width i32) (param $inner i32) (param $isSum i32)
    (local $end i32) (local $a i32) (local $b i32) (local $c i32) (local $p i32)
    (local $down2 i32) (local $down3 i32)
    (local $each v128) (local $left v128) (local $right v128)
    (local $c0 v128) (local $c1 v128) (local $c2 v128) (local $c3 v128)
    (local $d0 v128) (local $d1 v128) (local $d2 v128) (local $d3 v128)
    (local.set $down2 (i32.shl (local.get $down) (i32.const 1)))
    (local.set $down3 (i32.add (local.get $down2) (local.get $down)))
    (local.set $end (i32.add (local.get $B) (local.get $width)))
    (block $no_more_columns
      (loop $next_columns
        (br_if $no_more_columns (i32.ge_u (local.get $B) (local.get $end)))
        (local.set $a (local.get $A))
        (local.set $b (local.get $B))
        (local.set $c (local.get $C))
        (local.set $p (local.get $inner))
        (if (local.get $isSum)
          (then
            (local.set $c0 (v128.load (local.get $c)))
            (local.set $d0 (v128.load offset=16 (local.get $c)))
            (local.set $c (i32.add (local.get $c) (local.get $stride)))
            (local.set $c1 (v128.load (local.get $c)))
            (local.set $d1 (v128.load offset=16 (local.get $c)))
            (local.set $c (i32.add (local.get $c) (local.get $stride)))
            (local.set $c2 (v128.load (local.get $c)))
            (local.set $d2 (v128.load offset=16 (local.get $c)))
            (local.set $c (i32.add (local.get $c) (local.get $stride)))
            (local.set $c3 (v128.load (local.get $c)))
            (local.set $d3 (v128.load offset=16 (local.get $c))))
          (else
            (local.set $c0 (v128.const f32x4 0 0 0 0))
            (local.set $c1 (local.get $c0))
            (local.set $c2 (local.get $c0))
            (local.set $c3 (local.get $c0))
            (local.set $d0 (local.get $c0))
            (local.set $d1 (local.get $c0))
            (local.set $d2 (local.get $c0))
            (local.set $d3 (local.get $c0))))
        (loop $next_inner
          (local.set $left (v128.load (local.get $b)))
          (local.set $right (v128.load offset=16 (local.get $b)))
          (local.set $each (v128.load32_splat (local.get $a)))
          (local.set $c0 (f32x4.add
            (f32x4.mul (local.get $each) (local.get $left)) (local.get $c0)))
          (local.set $d0 (f32x4.add
            (f32x4.mul (local.get $each) (local.get $right)) (local.get $d0)))
          (local.set $each (v128.load32_splat (i32.add (local.get $a) (local.get $down))))
          (local.set $c1 (f32x4.add
            (f32x4.mul (local.get $each) (local.get $left)) (local.get $c1)))
          (local.set $d1 (f32x4.add
            (f32x4.mul (local.get $each) (local.get $right)) (local.get $d1)))
          (local.set $each (v128.load32_splat (i32.add (local.get $a) (local.get $down2))))
          (local.set $c2 (f32x4.add
            (f32x4.mul (local.get $each) (local.get $left)) (local.get $c2)))
          (local.set $d2 (f32x4.add
            (f32x4.mul (local.get $each) (local.get $right)) (local.get $d2)))
          (local.set $each (v128.load32_splat (i32.add (local.get $a) (local.get $down3))))
          (local.set $c3 (f32x4.add
            (f32x4.mul (local.get $each) (local.get $left)) (local.get $c3)))
          (local.set $d3 (f32x4.add
            (f32x4.mul (local.get $each) (local.get $right)) (local.get $d3)))
          (local.set $a (i32.add (local.get $a) (local.get $along)))
          (local.set $b (i32.add (local.get $b) (local.get $stride)))
          (br_if $next_inner (local.tee $p (i32.sub (local.get $p) (i32.const 1)))))
        (local.set $c (local.get $C))
        (v128.store (local.get $c) (local.get $c0))
        (v128.store offset=16 (local.get $c) (local.get $d0))
        (local.set $c (i32.add (local.get $c) (local.get $stride)))
        (v128.store (local.get $c) (local.get $c1))
        (v128.store offset=16 (local.get $c) (local.get $d1))
        (local.set $c (i32.add (local.get $c) (local.get $stride)))
        (v128.store (local.get $c) (local.get $c2))
        (v128.store offset=16 (local.get $c) (local.get $d2))
        (local.set $c (i32.add (local.get $c) (local.get $stride)))
        (v128.store (local.get $c) (local.get $c3))
        (v128.store offset=16 (local.get $c) (local.get $d3))
        (local.set $B (i32.add (local.get $B) (i32.const 32)))
        (local.set $C (i32.add (local.get $C) (i32.const 32)))
        (br $next_columns))))

  ;; B becomes the transpose of A, in blocks of 4 rows and 4 columns.
  (func (export "turn")
    (param $A i32) (param $B i32) (param $rows i32) (param $columns i32)
    (local $down i32) (local $along i32) (local $a i32) (local $b i32) (local $j i32)
    (local $r0 v128) (local $r1 v128) (local $r2 v128) (local $r3 v128)
    (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128)
    (local.set $down (i32.shl (local.get $columns) (i32.const 2)))
    (local.set $along (i32.shl (local.get $rows) (i32.const 2)))
    (loop $next_rows
      (local.set $b (local.get $B))
      (local.set $j (i32.const 0))
      (loop $next_columns
        (local.set $a (i32.add (local.get $A) (local.get $j)))
        (local.set $r0 (v128.load (local.get $a)))
        (local.set $a (i32.add (local.get $a) (local.get $down)))
        (local.set $r1 (v128.load (local.get $a)))
        (local.set $a (i32.add (local.get $a) (local.get $down)))
        (local.set $r2 (v128.load (local.get $a)))
        (local.set $a (i32.add (local.get $a) (local.get $down)))
        (local.set $r3 (v128.load (local.get $a)))
        (local.set $s0 (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23
          (local.get $r0) (local.get $r1)))
        (local.set $s1 (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31
          (local.get $r0) (local.get $r1)))
        (local.set $s2 (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23
          (local.get $r2) (local.get $r3)))
        (local.set $s3 (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31
          (local.get $r2) (local.get $r3)))
        (v128.store (local.get $b) (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23
          (local.get $s0) (local.get $s2)))
        (local.set $b (i32.add (local.get $b) (local.get $along)))
        (v128.store (local.get $b) (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31
          (local.get $s0) (local.get $s2)))
        (local.set $b (i32.add (local.get $b) (local.get $along)))
        (v128.store (local.get $b) (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23
          (local.get $s1) (local.get $s3)))
        (local.set $b (i32.add (local.get $b) (local.get $along)))
        (v128.store (local.get $b) (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31
          (local.get $s1) (local.get $s3)))
        (local.set $b (i32.add (local.get $b) (local.get $along)))
        (local.set $j (i32.add (local.get $j) (i32.const 16)))
        (br_if $next_columns (i32.lt_u (local.get $j) (local.get $down))))
      (local.set $A (i32.add (local.get $A) (i32.shl (local.get $down) (i32.const 2))))
      (local.set $B (i32.add (local.get $B) (i32.const 16)))
      (br_if $next_rows (local.tee $rows (i32.sub (local.get $rows) (i32.const 4))))))

  ;; In place: rows of scores become attention. The first row sees `seen` bytes of its `width`,
  ;; which is a multiple of 16, and each one 4 more than that before.
  (func (export "attend")
    (param $row i32) (param $rows i32) (param $width i32) (param $seen i32) (param $scale f32)
    (local $end i32) (local $at i32) (local $top v128) (local $share v128)
    (loop $next_row
      (local.set $end (call $endOf (local.get $row) (local.get $seen)))
      (local.set $at (i32.add (local.get $row) (local.get $seen)))
      (block $all_hidden
        (loop $next_hidden
          (br_if $all_hidden (i32.ge_u (local.get $at) (local.get $end)))
          (f32.store (local.get $at) (f32.const -inf))
          (local.set $at (i32.add (local.get $at) (i32.const 4)))
          (br $next_hidden)))
      (local.set $top (v128.load (local.get $row)))
      (local.set $at (local.get $row))
      (loop $next_top
        (local.set $top (f32x4.pmax (local.get $top) (v128.load (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br_if $next_top (i32.lt_u (local.get $at) (local.get $end))))
      (local.set $share (f32x4.splat (f32.div (f32.const 1) (call $exponentials
        (local.get $row) (local.get $end) (local.get $row) (local.get $scale) (f32.max
          (f32.max (f32x4.extract_lane 0 (local.get $top)) (f32x4.extract_lane 1 (local.get $top)))
          (f32.max (f32x4.extract_lane 2 (local.get $top)) (f32x4.extract_lane 3 (local.get $top)))
      )))))
      (local.set $at (local.get $row))
      (loop $next_share
        (v128.store (local.get $at) (f32x4.mul (v128.load (local.get $at)) (local.get $share)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br_if $next_share (i32.lt_u (local.get $at) (local.get $end))))
      (local.set $row (i32.add (local.get $row) (local.get $width)))
      (call $clear (local.get $end) (local.get $row))
      (local.set $seen (i32.add (local.get $seen) (i32.const 4)))
      (br_if $next_row (local.tee $rows (i32.sub (local.get $rows) (i32.const 1))))))

  ;; In place: the derivative by the attention becomes that by the scores before the scale. The
  ;; rows as above; those of `pattern` lie as those of `d`.
  (func (export "throughSoftmax")
    (param $d i32) (param $pattern i32) (param $rows i32) (param $width i32) (param $seen i32)
    (param $scale f32)
    (local $end i32) (local $at i32) (local $apart i32)
    (local $sum v128) (local $mean v128) (local $all v128)
    (local.set $apart (i32.sub (local.get $pattern) (local.get $d)))
    (local.set $all (f32x4.splat (local.get $scale)))
    (loop $next_row
      (local.set $end (call $endOf (local.get $d) (local.get $seen)))
      (local.set $sum (v128.const f32x4 0 0 0 0))
      (local.set $at (local.get $d))
      (loop $next_sum
        (local.set $sum (f32x4.add (f32x4.mul (v128.load (local.get $at))
          (v128.load (i32.add (local.get $at) (local.get $apart)))) (local.get $sum)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br_if $next_sum (i32.lt_u (local.get $at) (local.get $end))))
      (local.set $mean (f32x4.splat (call $total (local.get $sum))))
      (local.set $at (local.get $d))
      (loop $next_d
        (v128.store (local.get $at) (f32x4.mul
          (f32x4.sub (v128.load (local.get $at)) (local.get $mean))
          (f32x4.mul (local.get $all)
            (v128.load (i32.add (local.get $at) (local.get $apart))))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br_if $next_d (i32.lt_u (local.get $at) (local.get $end))))
      (local.set $d (i32.add (local.get $d) (local.get $width)))
      (call $clear (local.get $end) (local.get $d))
      (local.set $seen (i32.add (local.get $seen) (i32.const 4)))
      (br_if $next_row (local.tee $rows (i32.sub (local.get $rows) (i32.const 1))))))

  ;; The end of what a row sees, in whole groups of four.
  (func $endOf (param $row i32) (param $seen i32) (result i32)
    (i32.add (local.get $row) (i32.and (i32.add (local.get $seen) (i32.const 15)) (i32.const -16))))

  (func $clear (param $at i32) (param $end i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (v128.store (local.get $at) (v128.const f32x4 0 0 0 0))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next))))

  (func $total (param $x v128) (result f32)
    (f32.add
      (f32.add (f32x4.extract_lane 0 (local.get $x)) (f32x4.extract_lane 1 (local.get $x)))
      (f32.add (f32x4.extract_lane 2 (local.get $x)) (f32x4.extract_lane 3 (local.get $x)))))

  ;; e^(scale * (x - most)) of the entries from `from` to `end`, into `to`, and their sum; `most` is
  ;; the largest of them, and below e^-87 is 0. 2^n times a polynomial of what is left,
  ;; |r| <= ln(2) / 2. Source: the coefficients of expf in Cephes (Moshier), error below 1e-7.
  (func $exponentials (export "exponentials")
    (param $from i32) (param $end i32) (param $to i32) (param $scale f32) (param $most f32)
    (result f32)
    (local $all v128) (local $top v128) (local $sum v128)
    (local $x v128) (local $n v128) (local $r v128) (local $y v128)
    (local.set $all (f32x4.splat (local.get $scale)))
    (local.set $top (f32x4.splat (local.get $most)))
    (loop $next
      (local.set $x (f32x4.mul (local.get $all)
        (f32x4.sub (v128.load (local.get $from)) (local.get $top))))
      (local.set $r (f32x4.pmax (local.get $x) (v128.const f32x4 -87 -87 -87 -87)))
      ;; the last bits of a number of this size are n
      (local.set $y (f32x4.add (f32x4.mul (local.get $r)
        (v128.const f32x4 1.44269504 1.44269504 1.44269504 1.44269504))
        (v128.const f32x4 12582912 12582912 12582912 12582912)))
      (local.set $n (f32x4.sub (local.get $y)
        (v128.const f32x4 12582912 12582912 12582912 12582912)))
      (local.set $r (f32x4.add (f32x4.mul (local.get $n)
        (v128.const f32x4 -0.693359375 -0.693359375 -0.693359375 -0.693359375))
        (local.get $r)))
      (local.set $r (f32x4.add (f32x4.mul (local.get $n)
        (v128.const f32x4 2.12194440e-4 2.12194440e-4 2.12194440e-4 2.12194440e-4))
        (local.get $r)))
      (local.set $n (i32x4.shl (i32x4.add (local.get $y) (v128.const i32x4 127 127 127 127))
        (i32.const 23)))
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
        (local.get $r)))
      (local.set $y (v128.andnot
        (f32x4.mul (f32x4.add (local.get $y) (v128.const f32x4 1 1 1 1)) (local.get $n))
        (f32x4.lt (local.get $x) (v128.const f32x4 -87 -87 -87 -87))))
      (v128.store (local.get $to) (local.get $y))
      (local.set $sum (f32x4.add (local.get $sum) (local.get $y)))
      (local.set $from (i32.add (local.get $from) (i32.const 16)))
      (local.set $to (i32.add (local.get $to) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $from) (local.get $end))))
    (call $total (local.get $sum)))

  ;; C = A + B, of so many bytes
  (func (export "add") (param $C i32) (param $A i32) (param $B i32) (param $size i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $A) (local.get $size)))
    (loop $next
      (v128.store (local.get $C) (f32x4.add (v128.load (local.get $A)) (v128.load (local.get $B))))
      (local.set $A (i32.add (local.get $A) (i32.const 16)))
      (local.set $B (i32.add (local.get $B) (i32.const 16)))
      (local.set $C (i32.add (local.get $C) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $A) (local.get $end))))))
