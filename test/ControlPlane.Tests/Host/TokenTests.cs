using System.Net;
using Godwit.Api;
using Godwit.Api.Access;
using Godwit.ControlPlane.Access;
using Godwit.ControlPlane.Store;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Godwit.ControlPlane.Tests.Host;

public sealed class TokenTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("godwit-tokens-").FullName;

    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));

    private string Store => Path.Combine(_folder, "godwit.db");

    public void Dispose() => Directory.Delete(_folder, true);

    [Fact]
    public void A_token_is_found_by_its_secret_until_it_expires_or_is_removed()
    {
        string secret;
        using (var database = Database.Open(Store))
            secret = new TokenStore(database, _time).Create(new AccessTokenSpec("anna", Role.Operator, 3600)).Secret;
        using var again = Database.Open(Store);
        var store = new TokenStore(again, _time);
        Assert.Equal(Role.Operator, store.Find(secret)!.Role);
        Assert.Null(store.Find(secret + "x"));
        Assert.Null(store.Find(""));
        _time.Advance(TimeSpan.FromSeconds(3599));
        Assert.NotNull(store.Find(secret));
        Assert.Equal(_time.GetUtcNow(), Assert.Single(store.List()).LastUsed);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Null(store.Find(secret));
        store.Remove("Anna");
        Assert.Empty(store.List());
        var other = store.Create(new AccessTokenSpec("anna", Role.Viewer)).Secret;
        Assert.NotEqual(secret, other);
        _time.Advance(TimeSpan.FromDays(4000));
        Assert.Equal("anna", store.Find(other)!.Name);
        store.Remove("anna");
        Assert.Null(store.Find(other));
    }

    [Fact]
    public void The_secret_has_256_bits_and_is_nowhere_in_the_store()
    {
        string secret;
        using (var database = Database.Open(Store))
            secret = new TokenStore(database, _time).Create(new AccessTokenSpec("anna", Role.Viewer)).Secret;
        var text = secret["godwit_".Length..];
        Assert.Equal(32, System.Buffers.Text.Base64Url.DecodeFromChars(text).Length);
        foreach (var file in Directory.EnumerateFiles(_folder))
            Assert.DoesNotContain(text, System.Text.Encoding.Latin1.GetString(File.ReadAllBytes(file)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", Role.Viewer, null), InlineData("a b", Role.Viewer, null), InlineData("ü", Role.Viewer, null), InlineData(null, Role.Viewer, null),
     InlineData("a", (Role)0, null), InlineData("a", (Role)4, null), InlineData("a", Role.Viewer, 0L), InlineData("a", Role.Viewer, -1L),
     InlineData("a", Role.Viewer, long.MaxValue)]
    public void A_token_that_makes_no_sense_is_refused(string? name, Role role, long? seconds)
    {
        using var database = Database.Open(Store);
        var e = Assert.Throws<GodwitException>(() => new TokenStore(database, _time).Create(new AccessTokenSpec(name!, role, seconds)));
        Assert.Equal(ErrorCode.InvalidRequest, e.Problem.Code);
    }

    [Fact]
    public void Names_are_given_once_and_there_is_an_end_to_tokens()
    {
        using var database = Database.Open(":memory:");
        var store = new TokenStore(database, _time);
        for (var i = 0; i < 1000; i++)
            store.Create(new AccessTokenSpec($"t{i}", Role.Viewer));
        Assert.Equal(ErrorCode.AlreadyExists, Refused("T7"));
        Assert.Equal(ErrorCode.WrongState, Refused("more"));
        Assert.Equal(ErrorCode.NotFound, Assert.Throws<GodwitException>((Action)(() => store.Remove("more"))).Problem.Code);

        ErrorCode Refused(string name) => Assert.Throws<GodwitException>(() => store.Create(new AccessTokenSpec(name, Role.Viewer))).Problem.Code;
    }

    [Fact(Timeout = 30_000)]
    public async Task Tokens_are_made_listed_used_and_removed_over_REST()
    {
        await using var host = await RestHost.StartAsync(new IPEndPoint(IPAddress.Loopback, 0));
        var (status, made) = await host.PostAsync("/v1/tokens", """{"name":"anna","role":"Viewer","lifetimeSeconds":60}""");
        var secret = made.GetProperty("secret").GetString()!;
        Assert.Equal((201, "anna", "Viewer"), (status, made.GetProperty("token").GetProperty("name").GetString(), made.GetProperty("token").GetProperty("role").GetString()));
        await host.RefusesAsync(HttpMethod.Post, "/v1/tokens", """{"name":"ANNA","role":"Viewer"}""", 409, ErrorCode.AlreadyExists);
        await host.RefusesAsync(HttpMethod.Post, "/v1/tokens", """{"name":"b"}""", 400, ErrorCode.InvalidRequest);
        await host.RefusesAsync(HttpMethod.Post, "/v1/tokens", """{"name":"b","role":"King"}""", 400, ErrorCode.InvalidRequest);
        using var client = host.ConnectRemote(secret);
        Assert.Equal(200, (await RestHost.SendAsync(client, HttpMethod.Get, "/v1/vms")).Status);
        var list = (await host.GetAsync("/v1/tokens")).Body;
        Assert.True(list[0].TryGetProperty("lastUsed", out _));
        Assert.DoesNotContain(secret, list.GetRawText(), StringComparison.Ordinal);
        Assert.Equal(204, (await host.SendAsync(HttpMethod.Delete, "/v1/tokens/anna")).Status);
        Assert.Equal(401, (await RestHost.SendAsync(client, HttpMethod.Get, "/v1/vms")).Status);
        await host.RefusesAsync(HttpMethod.Delete, "/v1/tokens/anna", null, 404, ErrorCode.NotFound);
        Assert.DoesNotContain(secret, (await host.GetAsync("/v1/audit")).Body.GetRawText(), StringComparison.Ordinal);
    }
}
