// Writes tests/vectors/lzw.json with Go's own compress/lzw, as memberlist uses it:
//
//	go run tests/vectors/generators/lzw.go > tests/vectors/lzw.json
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bytes"
	"compress/lzw"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
)

type vector struct {
	ID     string `json:"id"`
	Packed string `json:"packed"`
	Len    int    `json:"len"`
	SHA256 string `json:"sha256"`
}

// The same numbers as the pattern of memberlist.json.
func pattern(n int) []byte {
	x := uint32(2463534242)
	out := make([]byte, n)
	for i := range out {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		out[i] = byte(x)
	}
	return out
}

func letters(n int) []byte {
	out := pattern(n)
	for i := range out {
		out[i] = "aab"[out[i]%3]
	}
	return out
}

func pack(id string, plain []byte) vector {
	var buf bytes.Buffer
	w := lzw.NewWriter(&buf, lzw.LSB, 8)
	if _, err := w.Write(plain); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	sum := sha256.Sum256(plain)
	return vector{id, hex.EncodeToString(buf.Bytes()), len(plain), hex.EncodeToString(sum[:])}
}

func main() {
	vectors := []vector{
		pack("nothing", nil),
		pack("one-byte", []byte{'x'}),
		pack("own-definition", bytes.Repeat([]byte{'a'}, 10)),
		pack("zeros-65536", make([]byte, 65536)),
		pack("zeros-1000000", make([]byte, 1000000)),
		pack("words", bytes.Repeat([]byte("a node tells of another; "), 40)),
	}
	// Around the places where codes become wider, and where the table is full and is cleared.
	for _, n := range []int{253, 254, 255, 256, 257, 765, 766, 767, 768, 1789, 1790, 1791, 3836, 3837, 3838, 3839, 3840, 3841, 8192} {
		vectors = append(vectors, pack(fmt.Sprintf("pattern-%d", n), pattern(n)))
	}
	for _, n := range []int{1000, 5000, 60000} {
		vectors = append(vectors, pack(fmt.Sprintf("letters-%d", n), letters(n)))
	}
	fmt.Println("[")
	for i, v := range vectors {
		line, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		os.Stdout.Write(line)
		if i+1 < len(vectors) {
			fmt.Print(",")
		}
		fmt.Println()
	}
	fmt.Println("]")
}
