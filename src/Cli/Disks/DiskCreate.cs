using System.CommandLine;
using Godwit.Api.Disks;
using Godwit.Cli.Text;
using Godwit.Storage.Formats;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk create</summary>
internal sealed class DiskCreate
{
    private readonly Argument<string> _path = DiskCommands.PathArgument();
    private readonly Option<long?> _size = SizeOption.Create("--size", "What the guest sees, for example 8G");
    private readonly Option<DiskFormat?> _format = DiskCommands.FormatOption(
        "vhdx (grows as it is written; the default), vhdx-fixed or raw");
    private readonly Option<long?> _blockSize = SizeOption.Create(
        "--block-size", "Unit of allocation of a VHDX: a power of two from 1M to 256M (32M when not given)");

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var options = new DiskCreate();
        options._size.Required = true;
        var verb = new Verb(
            "create", "Creates an image file; an existing file is never overwritten",
            "godwit disk create data.vhdx --size 64G")
        {
            options._path, options._size, options._format, options._blockSize,
        };
        verb.AddJson("Write the new file's description as JSON");
        verb.Does(shell, global, options.RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var path = session.Shell.AbsolutePath(session.Get(_path));
        var format = session.Get(_format) ?? DiskFormat.VhdxDynamic;
        var size = session.Get(_size)!.Value;
        await DiskImage.CreateAsync(path, ImageFormats.ToImage(format), size, ReadOptions(session, format), cancellationToken);
        if (session.Json)
            session.TryWriteJson(await DiskShow.DescribeAsync(path, format, cancellationToken), JsonText.Own.DiskReport);
        else
            session.Talk.Say($"created {path} ({ByteSize.Format(size)}, {DiskFormats.Word(format)})");
        return ExitCode.Ok;
    }

    private ImageCreateOptions? ReadOptions(Session session, DiskFormat format)
    {
        if (session.Get(_blockSize) is not long blockSize)
            return null;
        if (format == DiskFormat.Raw)
            throw new UsageException("--block-size: a raw file has no blocks");
        if (blockSize < 1 << 20 || blockSize > 256 << 20 || !long.IsPow2(blockSize))
            throw new UsageException($"--block-size: {ByteSize.Format(blockSize)} is not a power of two from 1M to 256M");
        return new ImageCreateOptions { BlockSize = (int)blockSize };
    }
}
