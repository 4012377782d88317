package local

import (
	"bufio"
	"io"
	"net"
	"testing"

	. "github.com/onsi/gomega"
)

// answerer listens in an operator's place, and says its name to whoever says something.
func answerer(t *testing.T, name string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			caller, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer caller.Close()
				for lines := bufio.NewScanner(caller); lines.Scan(); {
					_, _ = io.WriteString(caller, name+"\n")
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// call is one connection through a gate.
type call struct {
	net.Conn
	replies *bufio.Reader
}

func openCall(t *testing.T, g *Gate) *call {
	t.Helper()
	connection, err := net.Dial("tcp", g.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return &call{Conn: connection, replies: bufio.NewReader(connection)}
}

// say returns who has answered, or an error where nobody does.
func (c *call) say() (string, error) {
	if _, err := io.WriteString(c, "hello\n"); err != nil {
		return "", err
	}
	return c.replies.ReadString('\n')
}

func TestGate(t *testing.T) {
	g := NewWithT(t)
	gate, err := newGate(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(gate.close()).To(Succeed()) })
	one, two := answerer(t, "one"), answerer(t, "two")
	anew := func() (string, error) { return openCall(t, gate).say() }

	_, err = anew()
	g.Expect(err).To(HaveOccurred(), "nobody serves")

	gate.Serve(one)
	gate.Serve(one)
	gate.Serve(two)
	kept := openCall(t, gate)
	first, err := kept.say()
	g.Expect(err).NotTo(HaveOccurred())
	second, err := anew()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect([]string{first, second}).To(ConsistOf("one\n", "two\n"), "in turn")
	g.Expect(anew()).To(Equal(first))
	g.Expect(kept.say()).To(Equal(first), "a connection stays where it is")

	gate.Withdraw(map[string]string{"one\n": one, "two\n": two}[first])
	_, err = kept.say()
	g.Expect(err).To(HaveOccurred(), "its operator is withdrawn")
	for range 2 {
		g.Expect(anew()).To(Equal(second))
	}

	gate.Serve("127.0.0.1:1") // where nobody listens
	for range 2 {
		g.Expect(anew()).To(Equal(second))
	}
}

func TestThroughGate(t *testing.T) {
	g := NewWithT(t)
	gate, err := newGate(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(gate.close()).To(Succeed()) })
	others, webhooks, err := (&Cluster{gate: gate}).throughGate(`kind: ConfigMap
metadata: {name: first}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: tenure}
webhooks:
- name: users.tenure.dev
  clientConfig: {service: {name: tenure-webhook, namespace: tenure-system, path: /validate}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: last}
`)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(others).To(And(ContainSubstring("name: first"), ContainSubstring("name: last"), Not(ContainSubstring("name: tenure"))))
	g.Expect(webhooks).To(ContainSubstring("\n- clientConfig:\n    url: " + gate.url("/validate") + "\n  name: users.tenure.dev\n"))
	g.Expect(gate.url("/validate")).To(HavePrefix("https://localhost:"))
}
