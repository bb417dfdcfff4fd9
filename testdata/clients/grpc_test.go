package clients

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
)

// The interop functions end the process when they fail, so each runs in a
// process of its own: this test binary, told by its environment.
const (
	grpcCaseEnv  = "CLIENTS_GRPC_CASE"
	grpcPlaceEnv = "CLIENTS_GRPC_PLACE" // address, authority, file of the TLS authority if any
)

// interopCases are the functions of gRPC's interop suite that need no cloud.
func interopCases() map[string]func(context.Context, *grpc.ClientConn) {
	type client = testgrpc.TestServiceClient
	on := func(do func(context.Context, client, ...grpc.CallOption)) func(context.Context, *grpc.ClientConn) {
		return func(ctx context.Context, cc *grpc.ClientConn) { do(ctx, testgrpc.NewTestServiceClient(cc)) }
	}
	return map[string]func(context.Context, *grpc.ClientConn){
		"empty_unary":                 on(interop.DoEmptyUnaryCall),
		"large_unary":                 on(interop.DoLargeUnaryCall),
		"client_streaming":            on(interop.DoClientStreaming),
		"server_streaming":            on(interop.DoServerStreaming),
		"ping_pong":                   on(interop.DoPingPong),
		"empty_stream":                on(interop.DoEmptyStream),
		"timeout_on_sleeping_server":  on(interop.DoTimeoutOnSleepingServer),
		"cancel_after_begin":          on(interop.DoCancelAfterBegin),
		"cancel_after_first_response": on(interop.DoCancelAfterFirstResponse),
		"custom_metadata":             on(interop.DoCustomMetadata),
		"status_code_and_message":     on(interop.DoStatusCodeAndMessage),
		"special_status_message":      on(interop.DoSpecialStatusMessage),
		"unimplemented_method":        interop.DoUnimplementedMethod,
		"unimplemented_service": func(ctx context.Context, cc *grpc.ClientConn) {
			interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(cc))
		},
	}
}

// runInterop is the child: it carries out one case.
func runInterop(name string) {
	at := strings.Fields(os.Getenv(grpcPlaceEnv))
	creds := insecure.NewCredentials()
	if len(at) > 2 {
		var err error
		if creds, err = credentials.NewClientTLSFromFile(at[2], ""); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	cc, err := grpc.NewClient("passthrough:///"+at[0], grpc.WithTransportCredentials(creds), grpc.WithAuthority(at[1]))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer cc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	interopCases()[name](ctx, cc)
}

// TestGRPC runs the interop suite against its server: directly, through an
// h2c target in plain text, and through one over TLS.
func TestGRPC(t *testing.T) {
	ln := listen(t)
	srv := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(srv, interop.NewTestServer())
	go srv.Serve(ln) // ends with Stop
	t.Cleanup(srv.Stop)
	addr := ln.Addr().String()
	through := tunnel(t, "h2c://"+addr)

	for name := range interopCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for way, at := range map[string]string{
				"direct":         addr + " " + addr,
				"tunnel":         through.http + " " + through.host,
				"tunnel, by TLS": through.tls + " " + through.host + " " + through.ca,
			} {
				ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
				cmd := exec.CommandContext(ctx, os.Args[0])
				cmd.Env = append(os.Environ(), grpcCaseEnv+"="+name, grpcPlaceEnv+"="+at)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", way, err, out)
				}
				cancel()
			}
		})
	}
}
