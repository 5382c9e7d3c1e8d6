import Configuration
import Sockets
import Testing

@Suite struct StoreFileTests {
  private static let text = """
    [store]
    cell = "racks"
    node = 2
    data = "/var/lib/hotrack/store"
    segment_mib = 32

    [peer_tls]
    certificate = "node.pem"
    key = "node.key"
    authority = "ca.pem"

    [[member]]
    node = 1
    peer = "10.0.0.1"
    client = "10.0.0.1"

    [[member]]
    node = 2
    zone = 1
    peer = "10.0.0.2:5000"
    client = "10.0.0.2:5001"
    """

  @Test func isRead() throws {
    let file = try StoreFile(text: Self.text, file: "store.toml")
    #expect(file.cell == "racks" && file.node == 2 && file.segmentMiB == 32)
    #expect(file.data == "/var/lib/hotrack/store")
    #expect(file.peerTLS?.authority == "ca.pem" && file.clientTLS == nil)
    #expect(file.members[0].peer == (try Endpoint(parsing: "10.0.0.1:2380", defaultPort: 0)))
    #expect(file.members[0].client == (try Endpoint(parsing: "10.0.0.1:2379", defaultPort: 0)))
    #expect(file.members[1].zone == 1)
    #expect(file.members[1].client == (try Endpoint(parsing: "10.0.0.2:5001", defaultPort: 0)))
  }

  @Test(arguments: [
    ("cell = \"racks\"", "cell = \"Racks!\"", "store.cell"),
    ("node = 2\ndata", "node = 3\ndata", "store.node"),
    ("data = \"/var", "data = \"var", "store.data"),
    ("segment_mib = 32", "segment_mib = 0", "store.segment_mib"),
    ("key = \"node.key\"", "", "peer_tls.key"),
    ("zone = 1", "zone = -1", "member[1].zone"),
    ("node = 2\nzone", "node = 1\nzone", "member[1].node"),
    ("peer = \"10.0.0.1\"", "peer = \"nowhere\"", "member[0].peer"),
    ("zone = 1", "zoen = 1", "member[1].zoen"),
  ])
  func saysWhatIsWrong(_ good: String, _ bad: String, _ path: String) {
    let error = #expect(throws: ConfigurationError.self) {
      try StoreFile(text: Self.text.replacing(good, with: bad), file: "store.toml")
    }
    #expect(error?.description.contains("\(path):") == true, "\(String(describing: error))")
  }
}
