using Godwit.Nbd.Protocol;
using Godwit.Storage;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

public sealed class NbdErrorsTests
{
    /// <summary>The numbers NBD proto.md allows in a reply.</summary>
    private static readonly uint[] OnTheWire = [1, 5, 12, 22, 28, 75, 95, 108];

    public static TheoryData<StorageErrorKind> Kinds => [.. Enum.GetValues<StorageErrorKind>()];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Every_storage_error_has_a_number_the_protocol_knows(StorageErrorKind kind) =>
        Assert.Contains((uint)NbdErrors.FromKind(kind), OnTheWire);

    [Theory]
    [InlineData(StorageErrorKind.NoSpace, 28)]
    [InlineData(StorageErrorKind.ReadOnly, 1)]
    [InlineData(StorageErrorKind.AccessDenied, 1)]
    [InlineData(StorageErrorKind.IoFailed, 5)]
    [InlineData(StorageErrorKind.Corrupt, 5)]
    [InlineData(StorageErrorKind.InvalidRequest, 22)]
    [InlineData(StorageErrorKind.Unsupported, 95)]
    [InlineData(StorageErrorKind.Closed, 108)]
    public void Errors_a_guest_acts_on_keep_their_number(StorageErrorKind kind, uint number) =>
        Assert.Equal(number, (uint)NbdErrors.FromKind(kind));

    [Fact]
    public void A_kind_without_a_number_is_a_bug_that_shows() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => NbdErrors.FromKind((StorageErrorKind)int.MaxValue));

    [Fact]
    public void Any_number_a_server_may_send_has_a_kind()
    {
        for (var number = 1u; number < 200; number++)
            Assert.True(Enum.IsDefined(NbdErrors.ToKind(number)));
        Assert.Equal(StorageErrorKind.InvalidRequest, NbdErrors.ToKind(uint.MaxValue));
    }
}
