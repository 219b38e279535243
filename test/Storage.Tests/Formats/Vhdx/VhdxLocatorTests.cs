using System.Buffers.Binary;
using Godwit.Storage.Chains;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.ForeignVhdx;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>Parent locators as Windows and others write them, and as an enemy does.</summary>
public sealed class VhdxLocatorTests
{
    private const string Linkage = "{83ed0ec3-24c8-49a6-a959-5e4bf1288bfb}";
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact(Timeout = 10_000)]
    public async Task Every_key_windows_writes_is_read_whatever_their_order()
    {
        var link = await LinkOfAsync(
            ("absolute_win32_path", @"\\?\D:\VMs\Ü\base.vhdx"),
            ("parent_linkage2", "{aaaaaaaa-24c8-49a6-a959-5e4bf1288bfb}"),
            ("somebody's key", "x"),
            ("relative_path", @"..\base.vhdx"),
            ("parent_linkage", Linkage),
            ("volume_path", @"\\?\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\VMs\base.vhdx"));
        Assert.Equal(new Guid(Linkage), link.Linkage);
        Assert.Equal(new Guid("aaaaaaaa-24c8-49a6-a959-5e4bf1288bfb"), link.Alternate);
        Assert.Null(link.Modified);
        Assert.Equal(
            [
                new(ParentPathKind.Absolute, @"\\?\D:\VMs\Ü\base.vhdx"),
                new(ParentPathKind.Relative, @"..\base.vhdx"),
                new(ParentPathKind.Volume, @"\\?\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\VMs\base.vhdx"),
            ],
            link.Paths);
    }

    [Theory(Timeout = 10_000)]
    [InlineData("{83ed0ec3-24c8-49a6-a959-5e4bf1288bfb}")]
    [InlineData("{83ED0EC3-24C8-49A6-A959-5E4BF1288BFB}")]
    [InlineData("83ed0ec3-24c8-49a6-a959-5e4bf1288bfb")]
    [InlineData("{83ed0ec3-24c8-49a6-a959-5e4bf1288bfb}\0")]
    public async Task The_identity_is_read_in_every_form_that_is_about(string text) =>
        Assert.Equal(new Guid(Linkage), (await LinkOfAsync(("parent_linkage", text), ("relative_path", "base.vhdx"))).Linkage);

    [Theory(Timeout = 10_000)]
    [InlineData("{00000000-0000-0000-0000-000000000000}")]
    [InlineData("nonsense")]
    public async Task A_second_identity_that_is_none_does_not_count(string text) =>
        Assert.Null((await LinkOfAsync(("parent_linkage", Linkage), ("parent_linkage2", text))).Alternate);

    [Theory(Timeout = 10_000)]
    [InlineData("{83ed0ec3}", "no GUID")]
    [InlineData("(83ed0ec3-24c8-49a6-a959-5e4bf1288bfb)", "no GUID")]
    [InlineData(null, "missing")]
    public async Task Without_an_identity_the_file_is_corrupt(string? text, string reason)
    {
        (string, string)[] pairs = text is null ? [("relative_path", "base.vhdx")] : [("parent_linkage", text)];
        var error = await RefusedAsync(new ForeignVhdx { Locator = LocatorOf(pairs) });
        Assert.Equal(StorageErrorKind.Corrupt, error.Kind);
        Assert.Contains("parent_linkage", error.Reason, StringComparison.Ordinal);
        Assert.Contains(reason, error.Reason, StringComparison.Ordinal);
    }

    [Fact(Timeout = 10_000)]
    public async Task A_parent_of_another_type_is_unsupported_and_a_missing_locator_corrupt()
    {
        var other = LocatorOf(("parent_linkage", Linkage));
        other[0] ^= 1;
        Assert.Equal(StorageErrorKind.Unsupported, (await RefusedAsync(new ForeignVhdx { Locator = other })).Kind);
        Assert.Equal(StorageErrorKind.Corrupt, (await RefusedAsync(new ForeignVhdx { Locator = [] })).Kind);
        Assert.Equal(StorageErrorKind.Corrupt, (await RefusedAsync(new ForeignVhdx { Locator = other[..19] })).Kind);

        var none = new ForeignVhdx { Locator = LocatorOf(("parent_linkage", Linkage)) };
        var file = await none.BuildAsync();
        var bytes = file.ToArray();
        var at = bytes.AsSpan().IndexOf(new Guid("a8d35f2d-b30b-454d-abf7-d3d84834ab0c").ToByteArray());
        await file.WriteAsync(at, Guid.NewGuid().ToByteArray(), None);
        await file.WriteAsync(at + 24, new byte[4], None);
        var error = await Assert.ThrowsAsync<StorageException>(async () => await VhdxDisk.DescribeAsync(file, None));
        Assert.Contains("\"parent locator\"", error.Reason, StringComparison.Ordinal);
    }

    /// <summary>Counts, offsets and lengths an enemy chose. Where is the byte of the locator that changes.</summary>
    [Theory(Timeout = 10_000)]
    [InlineData(18, 0xFFFF, "claims 65535 keys")]
    [InlineData(18, 257, "claims 257 keys")]
    [InlineData(18, 3, "is not inside")]
    [InlineData(20, 0xFFFF, "is not inside")]
    [InlineData(22, 0xFFFF, "is not inside")]
    [InlineData(20, 0, "overlap")]
    [InlineData(24, 21, "overlap")]
    [InlineData(28, 27, "is not inside")]
    [InlineData(28, 0xFFFE, "is not inside")]
    [InlineData(30, 0xFFFF, "is not inside")]
    [InlineData(28, 0, "empty")]
    public async Task Numbers_that_lead_outside_are_corrupt_and_named(int at, int value, string reason)
    {
        var locator = LocatorOf(("parent_linkage", Linkage), ("relative_path", "base.vhdx"));
        BinaryPrimitives.WriteUInt16LittleEndian(locator.AsSpan(at), (ushort)value);
        var error = await RefusedAsync(new ForeignVhdx { Locator = locator });
        Assert.Equal(StorageErrorKind.Corrupt, error.Kind);
        Assert.Contains(reason, error.Reason, StringComparison.Ordinal);
    }

    [Fact(Timeout = 10_000)]
    public async Task The_most_keys_are_read_and_a_key_twice_is_corrupt()
    {
        var pairs = new (string, string)[256];
        for (var index = 0; index < pairs.Length; index++)
            pairs[index] = ($"key {index}", new string('v', 1000));
        pairs[200] = ("parent_linkage", Linkage);
        Assert.Equal(new Guid(Linkage), (await LinkOfAsync(pairs)).Linkage);
        pairs[201] = ("parent_linkage", Linkage);
        Assert.Contains("there twice", (await RefusedAsync(new ForeignVhdx { Locator = LocatorOf(pairs) })).Reason, StringComparison.Ordinal);
    }

    private static async Task<ParentLink> LinkOfAsync(params (string Key, string Value)[] pairs) =>
        (await VhdxDisk.DescribeAsync(await new ForeignVhdx { Locator = LocatorOf(pairs) }.BuildAsync(), None)).Parent!;

    private static async Task<StorageException> RefusedAsync(ForeignVhdx image)
    {
        MemoryFile file = await image.BuildAsync();
        Assert.False((await VhdxCheck.RunAsync(file.Reopen(readOnly: true), None)).IsSound);
        return await Assert.ThrowsAsync<StorageException>(async () => await VhdxDisk.DescribeAsync(file, None));
    }
}
