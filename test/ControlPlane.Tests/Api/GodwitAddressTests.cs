using Godwit.Api;
using Xunit;

namespace Godwit.ControlPlane.Tests.Api;

public sealed class GodwitAddressTests
{
    [Fact]
    public void A_unix_address_gives_the_socket() =>
        Assert.Equal("/run/godwit/godwitd.sock", GodwitAddress.Parse(GodwitAddress.Default).SocketPath);

    [Theory]
    [InlineData("https://127.0.0.1:8080")]
    [InlineData("https://host.example:8080")]
    [InlineData("https://[::1]:8080/")]
    public void A_host_over_https_is_an_address(string text)
    {
        var address = GodwitAddress.Parse(text);
        Assert.Null(address.SocketPath);
        Assert.Equal(8080, address.BaseAddress.Port);
    }

    [Theory]
    [InlineData("")]
    [InlineData("unix:")]
    [InlineData("unix:relative.sock")]
    [InlineData("/run/godwit/godwitd.sock")]
    [InlineData("http://127.0.0.1:8080")]
    [InlineData("http://localhost:8080")]
    [InlineData("https://a:b@127.0.0.1:8080")]
    [InlineData("https://127.0.0.1:8080/v1")]
    public void Anything_else_is_refused_with_how_to_write_it(string text)
    {
        var refused = Assert.Throws<GodwitException>(() => GodwitAddress.Parse(text));
        Assert.Equal(ErrorCode.InvalidRequest, refused.Problem.Code);
        Assert.Contains("unix:/", refused.Problem.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_socket_path_the_kernel_would_refuse_is_refused_before() =>
        Assert.Contains(
            "107 bytes",
            Assert.Throws<GodwitException>(() => GodwitAddress.Parse("unix:/" + new string('x', 107))).Problem.Title,
            StringComparison.Ordinal);
}
