// Package host is what the product has on a host besides the plugin: the systemd units that keep boot and shutdown in order and look after
// the plugin, the command `docker homelab`, and the folders of state. It installs them, tells how they are and takes them away, with plain file
// work and systemctl; none of it needs the plugin to run.
//
// A [Host] works below a root folder, which tests replace. It removes only names that it knows, never follows a symbolic link
// out of the root, and never empties a folder in which something is mounted. The data of volumes that are on this node is not
// state: [Host.Purge] leaves it and says where it is.
package host
