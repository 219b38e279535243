using System.CommandLine;
using Godwit.Api.Disks;
using Godwit.Cli.Text;
using Godwit.Storage.Chains;
using Godwit.Storage.Formats;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk create</summary>
internal sealed class DiskCreate
{
    private readonly Argument<string> _path = DiskCommands.PathArgument();
    private readonly Option<long?> _size = SizeOption.Create("--size", "What the guest sees, for example 8G; the parent's size when not given");
    private readonly Option<DiskFormat?> _format = DiskCommands.FormatOption(
        "vhdx (grows as it is written), vhdx-fixed, vhd, vhd-fixed or raw; vhd for a name that ends with .vhd, else vhdx when not given; with --parent the parent's family");
    private readonly Option<string?> _subtype = DiskCommands.SubtypeOption();
    private readonly Option<long?> _blockSize = SizeOption.Create(
        "--block-size", "Unit of allocation of a VHDX: a power of two from 1M to 256M (32M when not given); of a VHD one from 512K (2M when not given)");

    private readonly Option<int?> _sectorSize = new("--sector-size")
    {
        Description = "Logical sector size of a VHDX: 512 (when not given) or 4096",
        HelpName = "BYTES",
    };

    private readonly Option<string?> _parent = new("--parent")
    {
        Description = "Make a differencing disk: it reads like this image until it is written to",
        HelpName = "FILE",
    };

    private readonly ChainArguments _chain = new();

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var options = new DiskCreate();
        var verb = new Verb(
            "create", "Creates an image file; an existing file is never overwritten",
            "godwit disk create data.vhdx --size 64G")
        {
            options._path, options._size, options._format, options._subtype, options._blockSize, options._sectorSize, options._parent,
            options._chain.PathMap,
        };
        verb.AddJson("Write the new file's description as JSON");
        verb.Does(shell, global, options.RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var path = session.Shell.AbsolutePath(session.Get(_path));
        if (session.GetPath(_parent) is string parent)
            await CreateChildAsync(session, path, parent, cancellationToken);
        else
            await CreateAsync(session, path, cancellationToken);
        var made = await DiskShow.DescribeAsync(path, null, cancellationToken);
        if (!session.TryWriteJson(made, JsonText.Own.DiskReport))
            session.Talk.Say($"created {path} ({ByteSize.Format(made.Size)}, {DiskFormats.Word(made.Format)})");
        return ExitCode.Ok;
    }

    private async Task CreateAsync(Session session, string path, CancellationToken cancellationToken)
    {
        var format = session.Get(_format) ?? DiskFileNames.FormatFor(path);
        format = DiskFormats.Combine(format, session.Get(_subtype)) ?? format;
        if (format is DiskFormat.VhdxDifferencing or DiskFormat.VhdDifferencing)
            throw new UsageException("a differencing disk needs --parent");
        var size = session.Get(_size) ?? throw new UsageException("--size is missing");
        if (format == DiskFormat.Raw && session.Get(_blockSize) is not null)
            throw new UsageException("--block-size: a raw file has no blocks");
        var sector = session.Get(_sectorSize) ?? 512;
        var options = new ImageCreateOptions { BlockSize = ReadBlockSize(session), LogicalSectorSize = sector };
        await DiskImage.CreateAsync(path, ImageFormats.ToImage(format), size, options, cancellationToken);
    }

    private async Task CreateChildAsync(Session session, string path, string parent, CancellationToken cancellationToken)
    {
        if (session.Get(_sectorSize) is not null)
            throw new UsageException("--sector-size: a differencing disk has its parent's sectors");
        var options = new ImageCreateOptions { BlockSize = ReadBlockSize(session) };
        await ChildImage.CreateAsync(path, parent, session.Get(_size), options, _chain.Read(session).Paths, cancellationToken);
    }

    private int? ReadBlockSize(Session session) => session.Get(_blockSize) switch
    {
        null => null,
        long size when size is >= 512 << 10 and <= 256 << 20 && long.IsPow2(size) => (int)size,
        long size => throw new UsageException($"--block-size: {ByteSize.Format(size)} is not a power of two from 1M to 256M"),
    };
}
