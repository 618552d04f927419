package guard

import (
	"bytes"
	"encoding/binary"
	"path"
	"strings"
)

// headerSize is how much of a file is read: the longest signature ends at byte 20.
const headerSize = 32

// Kind names a database's format, for a person.
type Kind string

// The formats that are recognised. Sources of the signatures: the formats' own documents, collected in FACTS 5.
const (
	SQLite        Kind = "SQLite"
	SQLiteWAL     Kind = "SQLite write-ahead log"
	SQLiteJournal Kind = "SQLite journal"
	Bolt          Kind = "bbolt"
	LMDB          Kind = "LMDB"
	DuckDB        Kind = "DuckDB"
	PostgreSQL    Kind = "PostgreSQL"
	InnoDB        Kind = "MySQL/MariaDB"
	WiredTiger    Kind = "MongoDB (WiredTiger)"
	LevelDB       Kind = "LevelDB/RocksDB"
)

const journalMagic = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"

// byName recognises databases whose files have fixed names. CURRENT is checked together with its MANIFEST by the caller.
func byName(name string) (Kind, bool) {
	switch {
	case name == "PG_VERSION":
		return PostgreSQL, true
	case name == "ibdata1", strings.HasSuffix(name, ".ibd"):
		return InnoDB, true
	case name == "WiredTiger.wt":
		return WiredTiger, true
	case strings.HasPrefix(name, "MANIFEST-"):
		return LevelDB, true
	}
	return "", false
}

// byHeader recognises databases by their first bytes.
func byHeader(header []byte) (Kind, bool) {
	switch {
	case bytes.HasPrefix(header, []byte("SQLite format 3\x00")):
		return SQLite, true
	case bytes.HasPrefix(header, []byte(journalMagic)):
		return SQLiteJournal, true
	case len(header) >= 4 && binary.BigEndian.Uint32(header)&^1 == 0x377f0682:
		return SQLiteWAL, true
	case len(header) >= 12 && string(header[8:12]) == "DUCK":
		return DuckDB, true
	case len(header) >= 20 && word(header) == 0xED0CDAED:
		return Bolt, true
	case len(header) >= 20 && word(header) == 0xBEEFC0DE:
		return LMDB, true
	}
	return "", false
}

// word is the magic number of bbolt's and LMDB's first page, after its 16-byte header, in the order of a little-endian CPU.
func word(header []byte) uint32 { return binary.LittleEndian.Uint32(header[16:]) }

// likely orders a folder's files: what is named like a database is read first, so that a bounded scan finds it.
func likely(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".db", ".db3", ".s3db", ".sl3", ".sqlite", ".sqlite3", ".sqlitedb", ".mdb", ".duckdb", ".bolt", ".boltdb":
		return true
	}
	return strings.HasSuffix(name, "-wal") || strings.HasSuffix(name, "-journal")
}
