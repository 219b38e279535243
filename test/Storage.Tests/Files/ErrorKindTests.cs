using Godwit.Storage.Chains;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Raw;
using Godwit.Testing;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Files;

/// <summary>Every kind of error of docs/reference/errors.md can be met.</summary>
public sealed class ErrorKindTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    /// <summary>All but the one of disks on other hosts, which RemoteDiskTests reach.</summary>
    public static TheoryData<StorageErrorKind> Kinds => [.. Enum.GetValues<StorageErrorKind>().Where(kind => kind != StorageErrorKind.Unreachable)];

    [Theory(Timeout = 30_000)]
    [MemberData(nameof(Kinds))]
    public async Task Every_kind_is_reached(StorageErrorKind kind)
    {
        await File.WriteAllBytesAsync(_folder.File("d.img"), new byte[4096], Token);
        var error = await Assert.ThrowsAsync<StorageException>(() => ReachAsync(kind));
        Assert.Equal(kind, error.Kind);
        Assert.NotEmpty(error.Reason);
        Assert.False(string.IsNullOrEmpty(error.Path), "the message names no file");
    }

    private async Task ReachAsync(StorageErrorKind kind)
    {
        switch (kind)
        {
            case StorageErrorKind.IoFailed:
                await WriteToFaultyAsync(rules => rules.Fail(FileOperation.Write));
                break;
            case StorageErrorKind.NotFound:
                LocalFile.Open(_folder.File("none"), readOnly: true);
                break;
            case StorageErrorKind.AlreadyExists:
                await DiskImage.CreateAsync(_folder.File("d.img"), ImageFormat.Raw, 4096, null, Token);
                break;
            case StorageErrorKind.AccessDenied:
                LocalFile.Create("/sys/godwit-test");
                break;
            case StorageErrorKind.InUse:
                await using (LocalFile.Open(_folder.File("d.img"), readOnly: false))
                    LocalFile.Open(_folder.File("d.img"), readOnly: false);
                break;
            case StorageErrorKind.NoSpace:
                await WriteToFaultyAsync(rules => rules.LimitSpace(0));
                break;
            case StorageErrorKind.Corrupt:
                await File.WriteAllBytesAsync(_folder.File("d.img"), new byte[100], Token);
                await OpenAsync(readOnly: true);
                break;
            case StorageErrorKind.Unsupported:
                await File.WriteAllBytesAsync(_folder.File("d.img"), [.. "QED\0"u8, .. new byte[508]], Token);
                await OpenAsync(readOnly: true);
                break;
            case StorageErrorKind.ParentNotFound:
                await MakeChildAsync();
                File.Delete(_folder.File("base.vhdx"));
                await OpenAsync(readOnly: true);
                break;
            case StorageErrorKind.ParentMismatch:
                await MakeChildAsync();
                File.Delete(_folder.File("base.vhdx"));
                await DiskImage.CreateAsync(_folder.File("base.vhdx"), ImageFormat.VhdxDynamic, 1 << 20, null, Token);
                await OpenAsync(readOnly: true);
                break;
            default:
                await MisuseAsync(kind);
                break;
        }
    }

    private async Task MisuseAsync(StorageErrorKind kind)
    {
        var disk = await OpenAsync(readOnly: kind == StorageErrorKind.ReadOnly);
        await using (disk)
        {
            if (kind == StorageErrorKind.InvalidRequest)
                await disk.ReadAsync(1, new byte[512], Token);
            else if (kind == StorageErrorKind.ReadOnly)
                await disk.WriteAsync(0, new byte[512], WriteFlags.None, Token);
        }

        Assert.Equal(StorageErrorKind.Closed, kind);
        await disk.ReadAsync(0, new byte[512], Token);
    }

    private async Task MakeChildAsync()
    {
        await DiskImage.CreateAsync(_folder.File("base.vhdx"), ImageFormat.VhdxDynamic, 1 << 20, null, Token);
        File.Delete(_folder.File("d.img"));
        await ChildImage.CreateAsync(_folder.File("d.img"), _folder.File("base.vhdx"), null, new(), PathMap.Empty, Token);
    }

    private ValueTask<BlockDevice> OpenAsync(bool readOnly) => DiskImage.OpenAsync(_folder.File("d.img"), null, readOnly, Token);

    private static async Task WriteToFaultyAsync(Action<FaultRules> arrange)
    {
        var file = new FaultyFile(new MemoryFile());
        await RawDisk.CreateAsync(file, 4096, Token);
        arrange(file.Rules);
        await using var disk = RawDisk.Open(file);
        await disk.WriteAsync(0, new byte[512], WriteFlags.None, Token);
    }
}
