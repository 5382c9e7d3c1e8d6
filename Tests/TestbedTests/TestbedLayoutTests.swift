import Configuration
import Testing

@testable import Testbed

@Suite struct TestbedLayoutTests {
  @Test func `Every node has a namespace, a link and an address of its own`() {
    let layout = TestbedLayout(name: "lab", servers: 32, clients: 16)
    #expect(layout.servers.count == 32)
    #expect(layout.clients.count == 16)
    #expect(Set(layout.namespaces).count == 49)
    #expect(Set(layout.nodes.map(\.address)).count == 48)
    let interfaces = layout.nodes.flatMap { [$0.interface, $0.farInterface] }
    #expect(Set(interfaces).count == 96)
    let macs = layout.nodes.flatMap { [$0.mac, $0.farMAC] }
    #expect(Set(macs).count == 96)
    #expect(layout.namespace(of: "dir") == "ht-lab-dir")
    #expect(layout.namespace(of: "s31") == "ht-lab-s31")
    #expect(layout.namespace(of: "c15") == "ht-lab-c15")
    #expect(layout.namespace(of: "s32") == nil)
  }

  @Test(arguments: ["a", "linear", "seven77", "eight888", "linearizability-long"])
  func `Names of interfaces fit the kernel and begin with ht-`(name: String) {
    let layout = TestbedLayout(name: name, servers: 32, clients: 16)
    for interface in layout.nodes.flatMap({ [$0.interface, $0.farInterface] }) {
      #expect(interface.utf8.count <= 15)
      #expect(interface.hasPrefix("ht-"))
    }
  }

  @Test func `Long names that begin alike have different interfaces`() {
    #expect(TestbedLayout.tag("linearizability-1") != TestbedLayout.tag("linearizability-2"))
    #expect(TestbedLayout.tag("small") == "small")
  }

  @Test func `A namespace belongs to one testbed only`() {
    #expect(TestbedLayout.isNamespace("ht-a-dir", of: "a"))
    #expect(TestbedLayout.isNamespace("ht-a-s12", of: "a"))
    #expect(!TestbedLayout.isNamespace("ht-a-s1-dir", of: "a"))
    #expect(TestbedLayout.isNamespace("ht-a-s1-dir", of: "a-s1"))
    #expect(!TestbedLayout.isNamespace("ht-ab-dir", of: "a"))
    #expect(!TestbedLayout.isNamespace("ht-a-x1", of: "a"))
    #expect(TestbedLayout.testbed(ofNamespace: "ht-a-s1-dir") == "a-s1")
    #expect(TestbedLayout.testbed(ofNamespace: "ht-a-c0") == "a")
    #expect(TestbedLayout.testbed(ofNamespace: "other-dir") == nil)
    #expect(TestbedLayout.testbed(ofNamespace: "ht-dir") == nil)
  }

  @Test func `The rack file of a testbed is a good one`() throws {
    let file = TestbedFile(name: "lab", servers: 3, clients: 2)
    let layout = TestbedLayout(name: "lab", servers: 3, clients: 2)
    let rack = layout.rackFile(of: file, folder: "/run/hotrack/testbed/lab")
    let read = try RackFile(text: rack.text, file: "rack.toml")
    #expect(read == rack)
    #expect(read.interfaces.count == 5)
    #expect(read.servers.map(\.interface) == ["ht-lab-s0", "ht-lab-s1", "ht-lab-s2"])
  }
}
