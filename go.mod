module github.com/homelab-storage/homelab-storage

go 1.26
