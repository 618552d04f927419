package backend

import (
	"crypto/sha256"
	"encoding/hex"
)

// The private folder of a pool and what is in it (DESIGN, Names). It is 0700 and root's.
const (
	PrivateFolder     = ".homelab-storage"
	MarkerFile        = "pool.json"
	CatalogFolder     = "catalog"
	HoldersFolder     = "holders"
	TrashFolder       = "trash"
	SnapshotsFolder   = "snapshots"
	CredentialsFolder = "credentials"
	NodesFolder       = "nodes"
)

// DirectoryKey names the folder, below HoldersFolder, of one directory of a pool: its holder record, its lock and the
// marks (MARK-<volume ID>) of the volumes that have it. Two names of one directory have one key, because subdir is clean
// and reached without symbolic links. It is the first 128 bits of the SHA-256 of subdir, in hexadecimal digits.
func DirectoryKey(subdir string) string {
	sum := sha256.Sum256([]byte(subdir))
	return hex.EncodeToString(sum[:16])
}

// MarkPrefix precedes the volume's ID in the name of a mark, an empty-bodied JSON file beside the holder record.
const MarkPrefix = "mark-"
