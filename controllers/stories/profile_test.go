package stories

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"tenure.dev/tenure/api/v1alpha1"
	"tenure.dev/tenure/hack/local"
	"tenure.dev/tenure/hack/run/samples"
)

// profile is the organization that config/profiles has for one of the reference systems, applied as `make run PROFILE=<name>`
// does, with all the things that live in it beside people.
type profile struct {
	*organization

	kinds []schema.GroupVersionKind // of its things

	shell   []string // what the shell must know before it runs a command of the guide
	guide   []string // the commands of the README that have not been tried yet
	printed string   // what the first of them prints, where the README shows it
}

// newProfile applies a profile and waits until all is as it declares. Its namespaces go with the story.
func newProfile(ctx context.Context, name string) *profile {
	GinkgoHelper()
	folder := GinkgoT().TempDir()
	Expect(samples.Copy(fromRoot("config/profiles/"+name), folder, time.Now())).To(Succeed())
	p := &profile{organization: &organization{name: name}}
	p.applyKinds(ctx, filepath.Join(folder, "crds"))
	p.readGuide(filepath.Join(folder, "README.md"))

	DeferCleanup(p.clearAway)
	applied, err := kubectl("apply", "--server-side", "--kustomize="+folder)
	Expect(err).NotTo(HaveOccurred())
	Expect(applied).NotTo(MatchRegexp("(?m)^Warning"))
	p.waitUntilSettled()
	return p
}

func (p *profile) applyKinds(ctx context.Context, folder string) {
	GinkgoHelper()
	_, err := kubectl("apply", "--server-side", "--kustomize="+folder)
	Expect(err).NotTo(HaveOccurred())
	names, err := kubectl("get", "--kustomize="+folder, "--output=jsonpath={.items[*].metadata.name}")
	Expect(err).NotTo(HaveOccurred())
	for name := range strings.FieldsSeq(names) {
		p.kinds = append(p.kinds, servedKind(ctx, name))
	}
	Eventually(kubectl).WithArguments("get", strings.Join(strings.Fields(names), ",")).Should(HavePrefix("No resources found"))
}

// servedKind is the kind that a CustomResourceDefinition defines, as soon as it is established.
func servedKind(ctx context.Context, name string) schema.GroupVersionKind {
	GinkgoHelper()
	definition := &unstructured.Unstructured{}
	definition.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	Eventually(func(g Gomega) {
		g.Expect(admin.Get(ctx, client.ObjectKey{Name: name}, definition)).To(Succeed())
		conditions, _, err := unstructured.NestedSlice(definition.Object, "status", "conditions")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(conditions).To(ContainElement(And(HaveKeyWithValue("type", "Established"), HaveKeyWithValue("status", "True"))))
	}).Should(Succeed())
	group, _, _ := unstructured.NestedString(definition.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(definition.Object, "spec", "names", "kind")
	return schema.GroupVersionKind{Group: group, Version: "v1", Kind: kind}
}

// waitUntilSettled waits until the operator has seen to everything that the profile declares.
func (p *profile) waitUntilSettled() {
	GinkgoHelper()
	for _, kind := range []string{"organizations", "lifecyclepolicies", "users.tenure.dev", "groups.tenure.dev", "memberships"} {
		Eventually(columns).WithArguments(kind, p.name, `{.status.conditions[?(@.type=="Ready")].status}`).Should(HaveEach("True"), kind)
	}
	Eventually(columns).WithArguments("users.tenure.dev", p.name, "{.status.state}").Should(HaveEach(BeElementOf("Active", "Activated")), "nobody is in the middle of a change")
	Eventually(columns).WithArguments("memberships", p.name, "{.status.state}").Should(HaveEach("Active"))
}

func (p *profile) clearAway(ctx context.Context) {
	var all corev1.NamespaceList
	Expect(admin.List(ctx, &all)).To(Succeed())
	for i := range all.Items {
		if ns := &all.Items[i]; ns.Name == p.name || ns.Annotations[v1alpha1.AnnotationGrantsFrom] == p.name {
			Expect(client.IgnoreNotFound(admin.Delete(ctx, ns))).To(Succeed())
		}
	}
}

// jane acts as Jane of the profile's People team.
func (p *profile) jane() client.Client {
	GinkgoHelper()
	return as("jane@" + p.name + ".example")
}

// asJane runs kubectl as Jane in the profile's namespace.
func (p *profile) asJane(arguments ...string) (string, error) {
	return kubectl(append([]string{"--namespace=" + p.name, "--as=jane@" + p.name + ".example"}, arguments...)...)
}

// names are those of the objects that a field selector selects, as Jane finds them.
func (p *profile) names(kind, selector string) ([]string, error) {
	found, err := p.asJane("get", kind, "--field-selector="+selector, "--output=jsonpath={.items[*].metadata.name}")
	return strings.Fields(found), err
}

// setStatus declares a user's status as Jane does, and waits until it is in force and recorded.
func (p *profile) setStatus(ctx context.Context, name string, status v1alpha1.UserDesiredStatus) {
	GinkgoHelper()
	reason := ""
	if status != v1alpha1.UserDesiredActive {
		reason = "Asked for it"
	}
	p.change(ctx, name, desired(status, reason))
	Eventually(p.stateOf(ctx, name)).Should(BeEquivalentTo(status))
}

// change makes a change of a user as Jane does, who confirms it where the policy asks for that.
func (p *profile) change(ctx context.Context, name string, edits ...func(*v1alpha1.User)) {
	GinkgoHelper()
	jane := p.jane()
	Eventually(func() error {
		err := editAs(ctx, jane, p.organization, name, edits...)
		digest := digestIn(fmt.Sprint(err))
		if digest == "" {
			return err
		}
		return editAs(ctx, jane, p.organization, name, append(slices.Clone(edits), confirming(digest))...)
	}).Should(Succeed())
}

// digestIn is what a refusal asks to confirm.
func digestIn(refusal string) string {
	return between(refusal, v1alpha1.AnnotationConfirm+"=", "\n")
}

func confirming(digest string) func(*v1alpha1.User) {
	return func(u *v1alpha1.User) { annotate(u, v1alpha1.AnnotationConfirm, digest) }
}

// readGuide finds the commands that a README tells to try, and what it says that the first one prints.
func (p *profile) readGuide(readme string) {
	GinkgoHelper()
	content, err := os.ReadFile(readme)
	Expect(err).NotTo(HaveOccurred())
	_, section, _ := strings.Cut(string(content), "\n## Try it\n")
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := strings.Split(section, "\n```\n")
	Expect(len(blocks)).To(BeElementOf(3, 5), "commands, and perhaps what is printed, each between two lines of ```")
	for _, command := range wholeCommands(blocks[1]) {
		switch {
		case command == "export KUBECONFIG=$PWD/.local/kubeconfig": // The story's cluster has another one.
		case strings.HasPrefix(command, "alias "), strings.HasSuffix(command, "\n}"):
			p.shell = append(p.shell, command)
		default:
			p.guide = append(p.guide, command)
		}
	}
	if len(blocks) == 5 {
		p.printed = blocks[3] + "\n"
	}
	Expect(p.guide).NotTo(BeEmpty())
	folder := GinkgoT().TempDir()
	Expect(local.WriteKubeconfig(folder+"/kubeconfig", cluster.Admin(), "")).To(Succeed())
	p.shell = append([]string{"export KUBERC=off KUBECACHEDIR=" + folder + "/cache KUBECONFIG=" + folder + "/kubeconfig"}, p.shell...)
}

// wholeCommands are a guide's commands without its remarks, and a loop or a function as one command.
func wholeCommands(guide string) []string {
	var commands []string
	end := "" // of the command that the next lines belong to
	for line := range strings.Lines(guide) {
		switch line = strings.TrimSpace(line); {
		case line == "", strings.HasPrefix(line, "#"):
			continue
		case end != "":
			commands[len(commands)-1] += "\n" + line
		default:
			commands = append(commands, line)
		}
		switch {
		case strings.HasPrefix(line, "for ") && !strings.HasSuffix(line, "done"):
			end = "done"
		case strings.HasSuffix(line, "() {"):
			end = "}"
		case line == end:
			end = ""
		}
	}
	return commands
}

// try runs the guide's next command as it is written there, and returns what it prints. The story says which one it expects.
func (p *profile) try(ctx context.Context, beginning string) string {
	GinkgoHelper()
	printed, err := p.next(ctx, beginning)
	Expect(err).NotTo(HaveOccurred(), printed)
	return printed
}

// tryInVain runs the guide's next command, which a guard refuses, and returns what a person reads.
func (p *profile) tryInVain(ctx context.Context, beginning string) string {
	GinkgoHelper()
	printed, err := p.next(ctx, beginning)
	Expect(err).To(HaveOccurred(), printed)
	Expect(printed).To(ContainSubstring("denied the request: "))
	return printed
}

func (p *profile) next(ctx context.Context, beginning string) (printed string, err error) {
	GinkgoHelper()
	Expect(p.guide).NotTo(BeEmpty())
	command := p.guide[0]
	p.guide = p.guide[1:]
	Expect(command).To(HavePrefix(beginning))
	script := strings.Join(append(slices.Clone(p.shell), command), "\n")
	shell := exec.CommandContext(ctx, "bash", "-O", "expand_aliases", "-e", "-c", script)
	shell.Dir = fromRoot("")
	output, err := shell.CombinedOutput()
	return string(output), err
}

// things are all that live in a profile beside people, by kind and name.
type things map[string]*unstructured.Unstructured

// things reads them as the API server has them.
func (p *profile) things(ctx context.Context) things {
	GinkgoHelper()
	all := things{}
	for _, kind := range p.kinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		Expect(admin.List(ctx, list, client.InNamespace(p.name))).To(Succeed())
		for i := range list.Items {
			all[kind.Kind+"/"+list.Items[i].GetName()] = &list.Items[i]
		}
	}
	Expect(all).NotTo(BeEmpty())
	return all
}

// names are the kinds and names of things.
func (t things) names() []string { return slices.Sorted(maps.Keys(t)) }

// without are the same things but for those of these names, each of which there must be.
func (t things) without(names ...string) things {
	GinkgoHelper()
	others := maps.Clone(t)
	for _, name := range names {
		Expect(others).To(HaveKey(name))
		delete(others, name)
	}
	return others
}

// touchedSince are those things that are not any more, byte for byte, as they were before. Not even a write that changed nothing
// goes unnoticed: managedFields and resourceVersion count.
func (t things) touchedSince(before things) []string {
	touched := []string{}
	for name, is := range t {
		if was := before[name]; was == nil || !reflect.DeepEqual(was.Object, is.Object) {
			touched = append(touched, name)
		}
	}
	return touched
}

// content is what people have written into each thing, as JSON; what the API server and the operator add to it does not count.
// Of the replacements, which come in pairs of old and new text, each must be found somewhere.
func (t things) content(replacements ...string) map[string]string {
	GinkgoHelper()
	content, found := map[string]string{}, map[string]bool{}
	for name, object := range t {
		text := contentOf(object)
		for i := 0; i < len(replacements); i += 2 {
			found[replacements[i]] = found[replacements[i]] || strings.Contains(text, replacements[i])
			text = strings.ReplaceAll(text, replacements[i], replacements[i+1])
		}
		content[name] = text
	}
	for old, is := range found {
		Expect(is).To(BeTrue(), "nothing contains %s", old)
	}
	return content
}

// expectContent compares the content of things with what is expected.
func (t things) expectContent(expected map[string]string, why ...any) {
	GinkgoHelper()
	Expect(cmp.Diff(expected, t.content())).To(BeEmpty(), why...)
}

func contentOf(object *unstructured.Unstructured) string {
	GinkgoHelper()
	object = object.DeepCopy()
	object.SetResourceVersion("")
	object.SetGeneration(0)
	object.SetManagedFields(nil)
	annotations := object.GetAnnotations()
	maps.DeleteFunc(annotations, func(name, _ string) bool { return strings.HasPrefix(name, v1alpha1.GroupVersion.Group+"/") })
	if len(annotations) == 0 {
		annotations = nil
	}
	object.SetAnnotations(annotations)
	text, err := json.Marshal(object.Object)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

// createThing creates a thing of a profile. Its spec is JSON.
func (p *profile) createThing(ctx context.Context, kind, name, spec string) {
	GinkgoHelper()
	i := slices.IndexFunc(p.kinds, func(k schema.GroupVersionKind) bool { return k.Kind == kind })
	Expect(i).To(BeNumerically(">=", 0), kind)
	object := &unstructured.Unstructured{Object: map[string]any{}}
	object.SetGroupVersionKind(p.kinds[i])
	object.SetNamespace(p.name)
	object.SetName(name)
	var content map[string]any
	Expect(json.Unmarshal([]byte(spec), &content)).To(Succeed())
	object.Object["spec"] = content
	Expect(admin.Create(ctx, object)).To(Succeed())
}
