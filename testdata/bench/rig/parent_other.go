//go:build !linux

package rig

import "syscall"

// dieWithParent asks for nothing: this system has no such promise.
func dieWithParent() *syscall.SysProcAttr { return nil }
