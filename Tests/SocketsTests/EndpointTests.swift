import Sockets
import Testing

@Suite struct EndpointTests {
  @Test func addressAndPortAreReadAndWritten() throws {
    let endpoint = try Endpoint(parsing: "10.0.0.1:18517", defaultPort: 18516)
    #expect(endpoint == Endpoint(IPAddress(ipv4: 0x0a00_0001), port: 18517))
    #expect(endpoint.description == "10.0.0.1:18517")
    #expect(try Endpoint(parsing: "255.1.2.0", defaultPort: 18516).description == "255.1.2.0:18516")
  }

  @Test func addressesOfIPv6StandInBracketsBeforeAPort() throws {
    let endpoint = try Endpoint(parsing: "[fd00::1]:18517", defaultPort: 18516)
    #expect(endpoint.address == IPAddress("fd00:0:0::0:1") && endpoint.port == 18517)
    #expect(endpoint.address.isIPv6 && endpoint.address.ipv4 == nil)
    #expect(endpoint.description == "[fd00::1]:18517")
    for text in ["fd00::1", "[fd00::1]"] {
      #expect(try Endpoint(parsing: text, defaultPort: 18516).description == "[fd00::1]:18516")
    }
    #expect(IPAddress(mapped: endpoint.address.mapped) == endpoint.address)
    #expect(IPAddress("::ffff:10.0.0.1") == IPAddress(ipv4: 0x0a00_0001))
    #expect(IPAddress.anyIPv6.description == "::" && IPAddress.anyIPv6.isAny)
  }

  @Test(arguments: [
    "", ":", "[", "[]", "[]:1", "[10.0.0.1]:1", "[fd00::1]:0", "[fd00::1]1", "[fd00::1", "fd00::1]",
    "fd00::1::2", "fe80::1%eth0", "[fd00::1]:", "1:2:3:4:5:6:7:8:9", "10.0.0.1:", "10.0.0.1:0",
    "10.0.0.1:65536", "10.0.0.1:-1", "10.0.0.1:+1", "10.0.0",
    "10.0.0.1.2", "10.0.0.256", "10.0.0.01", "10.0.0.", "rack", "10.0.0.1:1:2", " 10.0.0.1",
    "10.0.0.99999999999999999999", "10.0.0.١",
  ])
  func anythingElseIsRefusedWithAnExample(_ text: String) {
    let error = #expect(throws: SocketError.self) {
      try Endpoint(parsing: text, defaultPort: 18516)
    }
    #expect(error == .invalidEndpoint(text))
    #expect(error?.description.contains("10.0.0.1:18516") == true)
  }
}
