// Checks a seal with golang.org/x/mod/sumdb, which nobody of this project wrote.
//
//	check tree VKEY FOLDER ENTRIES   the checkpoint, and all tiles; ENTRIES has a line of hex per entry
//	check proof VKEY LINE PROOF      a proof with the line alone
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func open(vkey string, msg []byte) tlog.Tree {
	verifier, err := note.NewVerifier(vkey)
	must(err)
	n, err := note.Open(msg, note.VerifierList(verifier))
	must(err)
	lines := strings.Split(n.Text, "\n")
	if lines[0] != verifier.Name() {
		log.Fatal("another origin")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	root, err := tlog.ParseHash(lines[2])
	must(err)
	return tlog.Tree{N: size, Hash: root}
}

type reader string

func (r reader) Height() int { return 8 }

func (r reader) SaveTiles([]tlog.Tile, [][]byte) {}

func (r reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range tiles {
		// Go's paths have the height, too.
		path := "tile/" + strings.TrimPrefix(t.Path(), "tile/8/")
		data, err := os.ReadFile(filepath.Join(string(r), path))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func main() {
	read := func(i int) []byte {
		data, err := os.ReadFile(os.Args[i])
		must(err)
		return data
	}
	switch os.Args[1] {
	case "tree":
		folder := os.Args[3]
		msg, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
		must(err)
		tree := open(os.Args[2], msg)
		hashes := tlog.TileHashReader(tree, reader(folder))
		entries := strings.Fields(string(read(4)))
		if int64(len(entries)) != tree.N {
			log.Fatalf("%d entries, and a tree of %d", len(entries), tree.N)
		}
		for i, text := range entries {
			entry, err := hex.DecodeString(text)
			must(err)
			proof, err := tlog.ProveRecord(tree.N, int64(i), hashes)
			must(err)
			must(tlog.CheckRecord(proof, tree.N, tree.Hash, int64(i), tlog.RecordHash(entry)))
		}
		for old := int64(1); old <= tree.N; old += 1 + tree.N/50 {
			root, err := tlog.TreeHash(old, hashes)
			must(err)
			proof, err := tlog.ProveTree(tree.N, old, hashes)
			must(err)
			must(tlog.CheckTree(proof, tree.N, tree.Hash, old, root))
		}
		fmt.Printf("%d entries of %s\n", tree.N, tree.Hash)
	case "proof":
		line := bytes.TrimSuffix(read(3), []byte("\n"))
		parts := strings.SplitN(string(read(4)), "\n\n", 2)
		head := strings.Split(parts[0], "\n")
		if head[0] != "c2sp.org/tlog-proof@v1" {
			log.Fatal("no proof")
		}
		index, err := strconv.ParseInt(strings.TrimPrefix(head[1], "index "), 10, 64)
		must(err)
		var proof tlog.RecordProof
		for _, text := range head[2:] {
			data, err := base64.StdEncoding.DecodeString(text)
			must(err)
			var hash tlog.Hash
			copy(hash[:], data)
			proof = append(proof, hash)
		}
		tree := open(os.Args[2], []byte(parts[1]))
		entry := sha256.Sum256(line)
		must(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry[:])))
		fmt.Printf("line %d of %d\n", index, tree.N)
	}
}
