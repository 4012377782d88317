# Everything is built from source into bin/, and only when something has changed. `make help` lists what there is.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# The image that is built and deployed, and the program that builds it.
IMG ?= tenure:latest
CONTAINER_TOOL ?= docker
# What speaks to the cluster that KUBECONFIG names.
KUBECTL ?= bin/kubectl
# More flags for `go test`, such as TESTFLAGS='-run Expiry -v'.
TESTFLAGS ?=

# Building, vetting and linting take the same flags, because they then share one build cache. Nothing is stamped with
# the state of the checkout: that fails in a checkout that belongs to somebody else.
BUILD_ENV := CGO_ENABLED=0 GOFLAGS='$(strip $(GOFLAGS) -trimpath -buildvcs=false)'
BUILD := $(BUILD_ENV) hack/tools/gobuild
GOLANGCI_LINT := $(CURDIR)/bin/tools/golangci-lint

# Modules beside the root one. Most are a few lines that import whole programs; to vet or lint them in full would take
# minutes for what these programs consist of. That they build is their check. hack/argocd and hack/bench have tests.
TOOL_MODULES := $(patsubst %/go.mod,%,$(wildcard hack/*/go.mod))

# What the programs of the root module are made of. Folders are listed too, because they change when a file goes.
sources = $(shell find $(1) \( -type d -o -type f ! -name '*_test.go' \) 2>/dev/null) go.mod go.sum

##@ Try it

.PHONY: run
run: controlplane bin/manager bin/run ## Start a local control plane, the operator and samples (SAMPLES=none, PROFILE=docebo, PORT=8443).
	@exec bin/run

##@ Develop

.PHONY: build
build: bin/manager ## Build the operator.

# The suites of specs leave their reports here, for what they prove to be counted also when some of them failed. A suite
# runs in its own folder, hence the whole path. Packages come before TESTFLAGS: `go test` takes none after a flag that it
# does not know, such as Ginkgo's.
REPORTS := $(CURDIR)/.local/reports
GO_TEST := TENURE_REPORTS='$(REPORTS)' CGO_ENABLED=1 go test -race -timeout 40m
REQUIREMENTS := $(BUILD_ENV) go run ./hack/requirements -reports '$(REPORTS)'

.PHONY: test
test: controlplane ## Run all tests, on a real API server too (TESTFLAGS='-run Expiry -v').
	@rm -rf '$(REPORTS)'; status=0; $(GO_TEST) ./... $(TESTFLAGS) || status=$$?; \
	for module in hack/argocd hack/bench; do (cd $$module; go test ./...) || status=$$?; done; \
	$(REQUIREMENTS) || status=$${status/#0/1}; exit $$status

.PHONY: requirements
requirements: controlplane ## Run the stories, and print what each proves (TESTFLAGS=-ginkgo.focus=Suspension).
	@rm -rf '$(REPORTS)'; status=0; $(GO_TEST) ./controllers/stories $(TESTFLAGS) || status=$$?; \
	$(REQUIREMENTS) -table || status=$${status/#0/1}; exit $$status

.PHONY: test-pure
test-pure: ## Run the tests of the API and of the pure core alone, in seconds.
	@go test $(TESTFLAGS) ./api/... ./controllers/internal/lifecycle/...

.PHONY: generate manifests
generate manifests: bin/.generated ## Generate deep copies and CRDs from the types in api/, and the tables of the profiles.
	@cd bin/.generated; find * -type f | while read -r file; do \
	  cmp -s $$file ../../$$file || { mkdir -p ../../$${file%/*}; cp $$file ../../$$file; echo "generated $$file"; }; \
	done
	@for file in config/crd/bases/*; do [[ -e bin/.generated/$$file ]] || { rm $$file; echo "removed $$file"; }; done
	@$(BUILD_ENV) go run ./hack/profiles

.PHONY: fmt
fmt: bin/tools/golangci-lint ## Format the Go code.
	@for module in . $(TOOL_MODULES); do (cd $$module; $(GOLANGCI_LINT) fmt ./...); done

.PHONY: lint
lint: bin/tools/golangci-lint ## Lint the Go code; the types in api/ by the conventions of Kubernetes APIs.
	@$(BUILD_ENV) $(GOLANGCI_LINT) run ./...
	@for module in $(TOOL_MODULES); do (cd $$module; $(BUILD_ENV) $(GOLANGCI_LINT) run --fast-only ./...); done

.PHONY: verify
verify: verify-generated verify-modules vet lint verify-tree ## Check what a change must hold: generated files, modules, format, vet, lint, clean tree.

.PHONY: clean
clean: ## Remove everything that was built.
	@rm -rf bin .local

##@ Prove it

# More flags for the program, such as `make faults ARGS='-scenario leave'`. What each leaves is in .local; with README=hack/README.md
# its table goes there.
ARGS ?=
README ?=
TABLE := $(if $(README),-readme '$(README)')

.PHONY: faults
faults: controlplane bin/manager bin/faults ## Fail the operator at every write, and see that it comes right (ARGS='-scenario leave', -all, -bugs).
	@bin/faults $(TABLE) $(ARGS)

.PHONY: bench
bench: controlplane bin/manager bin/bench ## Measure the operator against a bare client (ARGS='-only P1,P2', -quick); more than two hours.
	@bin/bench $(TABLE) $(ARGS)

MINUTES ?= 60
.PHONY: soak
soak: controlplane bin/manager bin/soak ## Work at an organization and kill what serves it, at random (MINUTES=60, ARGS='-seed 8').
	@bin/soak -minutes '$(MINUTES)' $(TABLE) $(ARGS)

##@ Install

.PHONY: build-installer
build-installer: $(filter bin/kubectl,$(KUBECTL)) ## Write all manifests into one file, bin/install.yaml (IMG=registry/tenure:v1).
	@mkdir -p bin/install
	@image='$(IMG)'; name=$$image; version=; \
	if [[ $$image == *@* ]]; then name=$${image%@*} version="digest: $${image#*@}"; \
	elif [[ $${image##*/} == *:* ]]; then name=$${image%:*} version="newTag: '$${image##*:}'"; fi; \
	printf 'resources: [../../config/default]\nimages:\n- name: tenure\n  newName: %s\n  %s\n' "$$name" "$$version" > bin/install/kustomization.yaml
	@$(KUBECTL) kustomize bin/install > bin/install/install.yaml; mv bin/install/install.yaml bin/install.yaml

.PHONY: docker-build
docker-build: ## Build the operator's image (IMG=, CONTAINER_TOOL=podman).
	@$(CONTAINER_TOOL) build -t $(IMG) -f config/manager/Dockerfile .

.PHONY: install
install: $(filter bin/kubectl,$(KUBECTL)) ## Install the CRDs into the cluster of KUBECONFIG.
	@$(KUBECTL) apply --server-side -k config/crd

# What Tenure's finalizer is on would stay for ever, because nobody is left to let go of it, and what was granted would stay
# in force. Finalizers of others are left to them.
FINALIZERS := {{range .items}}{{.metadata.namespace}} {{.metadata.name}} {{range .metadata.finalizers}}{{if ne . "tenure.dev/lifecycle"}},{{printf "%q" .}}{{end}}{{end}}{{"\n"}}{{end}}

.PHONY: uninstall
uninstall: $(filter bin/kubectl,$(KUBECTL)) ## Remove the CRDs, and with them every User, Group, record and grant. Undeploy before.
	@if [[ -n $$($(KUBECTL) get deployment tenure-controller-manager --namespace=tenure-system --ignore-not-found --output=name) ]]; then \
	  echo "The operator is deployed, and would put back what is removed: run 'make undeploy' first." >&2; exit 1; fi
	@$(KUBECTL) delete rolebindings --all-namespaces --selector=app.kubernetes.io/managed-by=tenure
	@for kind in $$($(KUBECTL) get customresourcedefinitions {users,memberships}.tenure.dev --ignore-not-found --output=name); do \
	  $(KUBECTL) get $${kind#*/} --all-namespaces --output=go-template='$(FINALIZERS)' | while read -r namespace name others; do \
	    $(KUBECTL) patch $${kind#*/} $$name --namespace=$$namespace --type=merge --patch="{\"metadata\":{\"finalizers\":[$${others#,}]}}"; \
	  done; \
	done
	@$(KUBECTL) delete --ignore-not-found -k config/crd

.PHONY: deploy
deploy: build-installer ## Install everything: CRDs, RBAC and the operator (IMG=).
	@$(KUBECTL) apply --server-side -f bin/install.yaml

# Of all manifests those whose kind is of the given ones, or is not.
KINDS = awk 'BEGIN { RS = ORS = "---\n" } $(1)/(^|\n)kind: ($(2))\n/' bin/install.yaml
JUDGES := (Mutating|Validating)(WebhookConfiguration|AdmissionPolicy|AdmissionPolicyBinding)

# What judges changes goes first: while it is there and nobody answers, nothing can be changed.
.PHONY: undeploy
undeploy: build-installer ## Remove the operator and its RBAC; the CRDs, what people declared and what is granted stay.
	@$(call KINDS,,$(JUDGES)) | $(KUBECTL) delete --ignore-not-found -f -
	@$(call KINDS,!,$(JUDGES)|CustomResourceDefinition) | $(KUBECTL) delete --ignore-not-found -f -

# What the targets above are made of.

bin/manager: $(call sources,main.go api controllers)
	@echo "Building the operator"
	@$(BUILD) . $@ .

bin/run: $(call sources,hack/run hack/local api)
	@echo "Building the local runner"
	@$(BUILD) . $@ ./hack/run

bin/faults: $(call sources,hack/faults hack/local hack/readme api controllers)
	@echo "Building the fault harness"
	@$(BUILD) . $@ ./hack/faults

bin/soak: $(call sources,hack/soak hack/local hack/readme api)
	@echo "Building the soak"
	@$(BUILD) . $@ ./hack/soak

bin/bench: $(call sources,hack/bench hack/local hack/readme api) hack/bench/go.mod hack/bench/go.sum
	@echo "Building the benchmarks"
	@$(BUILD) hack/bench $@ .

# With KUBEBUILDER_ASSETS, etcd and kube-apiserver are taken from there; kube-controller-manager and kubectl are built
# if it lacks them, as the archives it usually points to do.
CONTROL_PLANE := bin/etcd bin/kube-apiserver bin/kube-controller-manager bin/kubectl
ifneq ($(KUBEBUILDER_ASSETS),)
export KUBEBUILDER_ASSETS := $(abspath $(KUBEBUILDER_ASSETS))
ifeq ($(words $(wildcard $(addprefix $(KUBEBUILDER_ASSETS)/,kube-controller-manager kubectl))),2)
CONTROL_PLANE_NEEDED :=
endif
endif
CONTROL_PLANE_NEEDED ?= $(CONTROL_PLANE)

.PHONY: controlplane
controlplane: $(CONTROL_PLANE_NEEDED)

$(CONTROL_PLANE): bin/controlplane
	@ln -sf controlplane $@

bin/controlplane: $(wildcard hack/controlplane/*)
	@echo "Building etcd, kube-apiserver, kube-controller-manager and kubectl from source, once: about 4 minutes on two cores"
	@version=$$(awk '$$1 == "k8s.io/kubernetes" { print $$2 }' hack/controlplane/go.mod); \
	minor=$${version#v1.}; \
	component=k8s.io/component-base/version; client=k8s.io/client-go/pkg/version; \
	$(BUILD) hack/controlplane $@ -ldflags "-s -w \
	  -X $$component.gitVersion=$$version -X $$component.gitMajor=1 -X $$component.gitMinor=$${minor%%.*} \
	  -X $$client.gitVersion=$$version" .

bin/tools/controller-gen: hack/tools/go.mod hack/tools/go.sum
	@echo "Building controller-gen, once"
	@$(BUILD) hack/tools $@ -ldflags '-s -w' sigs.k8s.io/controller-tools/cmd/controller-gen

bin/tools/golangci-lint: hack/tools/go.mod hack/tools/go.sum $(wildcard hack/tools/golangci-lint/*)
	@echo "Building golangci-lint with kube-api-linter, once: about a minute on two cores"
	@$(BUILD) hack/tools $@ -ldflags '-s -w' ./golangci-lint

# Generated beside the tree: a file that is as it was keeps its time, so that nothing is rebuilt, and verifying changes
# nothing.
.PHONY: bin/.generated
bin/.generated: bin/tools/controller-gen
	@rm -rf $@
	@mkdir -p $@/api/v1alpha1 $@/config/crd/bases
	@bin/tools/controller-gen object crd paths=./api/v1alpha1 \
	  output:object:dir=$@/api/v1alpha1 output:crd:dir=$@/config/crd/bases

.PHONY: verify-generated
verify-generated: bin/.generated
	@{ diff -ruN config/crd/bases bin/.generated/config/crd/bases && \
	   diff -uN api/v1alpha1/zz_generated.deepcopy.go bin/.generated/api/v1alpha1/zz_generated.deepcopy.go; } || \
	 { echo "Generated files are not what api/v1alpha1 says (- as they are, + as they should be): run 'make generate'." >&2; exit 1; }
	@$(BUILD_ENV) go run ./hack/profiles -verify

.PHONY: verify-modules
verify-modules:
	@for module in . $(TOOL_MODULES); do (cd $$module; go mod tidy -diff) || \
	  { echo "$$module/go.mod or go.sum is not tidy: run 'go mod tidy' in $$module." >&2; exit 1; }; done

.PHONY: vet
vet:
	@$(BUILD_ENV) go vet ./...

# Compared with the index: what is staged or committed is what was verified.
.PHONY: verify-tree
verify-tree:
	@if [[ ! -e .git ]]; then echo "Not a git checkout: whether the tree is clean was not checked."; exit; fi; \
	changed=$$(git diff --name-only; git ls-files --others --exclude-standard); \
	if [[ -n $$changed ]]; then \
	  echo "The tree is not clean: run 'git add' on these and commit them, or let .gitignore name them:" >&2; \
	  sed 's/^/  /' <<< "$$changed" >&2; exit 1; \
	fi

.PHONY: help
help:
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z][a-z -]*:.*## / { sub(/ .*/, "", $$1); printf "  %-16s %s\n", $$1, $$2 }' Makefile
