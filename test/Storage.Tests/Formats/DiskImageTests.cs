using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Storage.Tests.Formats;

public sealed class DiskImageTests : IDisposable
{
    private const long Size = 64 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 30_000)]
    [InlineData(ImageFormat.Raw)]
    [InlineData(ImageFormat.VhdxDynamic)]
    [InlineData(ImageFormat.VhdxFixed)]
    [InlineData(ImageFormat.VhdDynamic)]
    [InlineData(ImageFormat.VhdFixed)]
    public async Task What_was_created_is_recognized_described_sound_and_kept(ImageFormat format)
    {
        var path = _folder.File("a");
        var identifier = new Guid(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
        await DiskImage.CreateAsync(path, format, Size, new ImageCreateOptions { BlockSize = 1 << 20, Identifier = identifier }, None);
        var named = format != ImageFormat.Raw;
        var found = await DiskImage.DescribeAsync(path, None);
        Assert.Equal((format, Size, 512), (found.Format, found.Size, found.LogicalSectorSize));
        Assert.Equal((named && format != ImageFormat.VhdFixed ? 1 << 20 : null, named ? identifier : null), (found.BlockSize, found.Identifier));
        Assert.InRange(found.AllocatedBytes, 0, format is ImageFormat.VhdxFixed or ImageFormat.VhdFixed ? long.MaxValue : Size / 4);

        var bytes = new byte[4096];
        new Random(1).NextBytes(bytes);
        await using (var disk = await DiskImage.OpenAsync(path, null, readOnly: false, None))
            await disk.WriteAsync(Size - 4096, bytes, WriteFlags.None, None);
        Assert.True((await DiskImage.CheckAsync(path, None)).IsSound);
        await using var again = await DiskImage.OpenAsync(path, format, readOnly: true, None);
        var read = new byte[4096];
        await again.ReadAsync(Size - 4096, read, None);
        Assert.Equal(bytes, read);
        Assert.True(again.Capabilities.ReadOnly);
    }

    [Fact]
    public async Task A_raw_file_of_odd_length_is_refused_with_its_length()
    {
        File.WriteAllBytes(_folder.File("a"), new byte[1000]);
        var error = await RefusedAsync(StorageErrorKind.Corrupt, "a", null);
        Assert.Contains("1000 bytes", error.Message, StringComparison.Ordinal);
        await RefusedAsync(StorageErrorKind.Corrupt, "a", ImageFormat.Raw);
        Assert.False((await DiskImage.CheckAsync(_folder.File("a"), None)).IsSound);
    }

    [Fact]
    public async Task An_empty_file_is_no_image()
    {
        File.WriteAllBytes(_folder.File("a"), []);
        await RefusedAsync(StorageErrorKind.Corrupt, "a", null);
        await RefusedAsync(StorageErrorKind.Corrupt, "a", ImageFormat.Raw);
    }

    [Fact]
    public async Task What_is_no_vhdx_cannot_be_opened_as_one()
    {
        File.WriteAllBytes(_folder.File("a"), new byte[1 << 20]);
        await RefusedAsync(StorageErrorKind.Corrupt, "a", ImageFormat.VhdxDynamic);
    }

    [Fact(Timeout = 60_000)]
    public async Task Images_of_other_programs_are_refused_unless_raw_is_asked_for()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/qemu-img"), "qemu-img is not installed");
        foreach (var (format, name) in new[]
        {
            ("qcow2", "QCOW"), ("qcow", "QCOW"), ("vmdk", "VMDK"), ("vdi", "VDI"), ("qed", "QED"), ("parallels", "Parallels"),
        })
        {
            string[] create = ["create", "-q", "-f", .. format.Split(' '), _folder.File(name), "8M"];
            (await ChildProgram.RunAsync("/usr/bin/qemu-img", create, null, None)).Succeeded();
            var error = await RefusedAsync(StorageErrorKind.Unsupported, name, null);
            Assert.Contains($"a {name} image", error.Message, StringComparison.Ordinal);
            Assert.Single((await DiskImage.CheckAsync(_folder.File(name), None)).Findings);
            if (new FileInfo(_folder.File(name)).Length % 512 == 0)
                await (await DiskImage.OpenAsync(_folder.File(name), ImageFormat.Raw, readOnly: true, None)).DisposeAsync();
            File.Delete(_folder.File(name));
        }
    }

    [Fact(Timeout = 30_000)]
    public async Task An_image_made_by_another_program_is_recognized()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/qemu-img"), "qemu-img is not installed");
        foreach (var (family, kind, format) in new[]
        {
            ("vhdx", "dynamic", ImageFormat.VhdxDynamic), ("vhdx", "fixed", ImageFormat.VhdxFixed),
            ("vpc", "dynamic,force_size=on", ImageFormat.VhdDynamic), ("vpc", "fixed,force_size=on", ImageFormat.VhdFixed),
        })
        {
            string[] create = ["create", "-q", "-f", family, "-o", $"subformat={kind}", _folder.File(kind), "8M"];
            (await ChildProgram.RunAsync("/usr/bin/qemu-img", create, null, None)).Succeeded();
            Assert.Equal((format, 8L << 20), ((await DiskImage.DescribeAsync(_folder.File(kind), None)) is var d ? (d.Format, d.Size) : default));
        }
    }

    [Theory]
    [InlineData(ImageFormat.Raw, 0, 1 << 20, 512)]
    [InlineData(ImageFormat.Raw, 1000, 1 << 20, 512)]
    [InlineData(ImageFormat.VhdxDynamic, Size, 3 << 20, 512)]
    [InlineData(ImageFormat.VhdxFixed, -512, 1 << 20, 512)]
    [InlineData(ImageFormat.VhdxDynamic, Size, 1 << 20, 1024)]
    [InlineData(ImageFormat.VhdDynamic, Size, 1 << 20, 4096)]
    [InlineData(ImageFormat.VhdxDifferencing, Size, 1 << 20, 512)]
    public async Task A_create_that_fails_leaves_no_file(ImageFormat format, long size, int blockSize, int sector)
    {
        var options = new ImageCreateOptions { BlockSize = blockSize, LogicalSectorSize = sector };
        await Assert.ThrowsAsync<StorageException>(() => DiskImage.CreateAsync(_folder.File("a"), format, size, options, None).AsTask());
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public async Task Creating_over_an_existing_file_is_refused_and_the_file_stays()
    {
        File.WriteAllText(_folder.File("a"), "mine");
        var error = await Assert.ThrowsAsync<StorageException>(
            () => DiskImage.CreateAsync(_folder.File("a"), ImageFormat.Raw, Size, null, None).AsTask());
        Assert.Equal(StorageErrorKind.AlreadyExists, error.Kind);
        Assert.Equal("mine", File.ReadAllText(_folder.File("a")));
    }

    [Fact]
    public async Task A_refused_file_is_let_go_of()
    {
        File.WriteAllBytes(_folder.File("a"), new byte[1000]);
        await RefusedAsync(StorageErrorKind.Corrupt, "a", null);
        await LocalFile.Open(_folder.File("a"), readOnly: false).DisposeAsync();
    }

    private async Task<StorageException> RefusedAsync(StorageErrorKind kind, string name, ImageFormat? expected)
    {
        var error = await Assert.ThrowsAsync<StorageException>(
            () => DiskImage.OpenAsync(_folder.File(name), expected, readOnly: true, None).AsTask());
        Assert.Equal((kind, _folder.File(name)), (error.Kind, error.Path));
        return error;
    }
}
