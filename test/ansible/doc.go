// Package ansible runs the playbooks of examples/ansible with the real ansible-playbook, over real
// SSH, into nodes of a lab: each a network namespace with a root of its own, an sshd, and a
// stand-in for systemd's systemctl.
package ansible
