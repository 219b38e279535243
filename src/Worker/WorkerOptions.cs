using System.Globalization;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Storage.Chains;
using Godwit.Worker.Sandbox;
using Godwit.Worker.Serving;
using Godwit.Worker.Supervision;

namespace Godwit.Worker;

/// <summary>What the command line asks for.</summary>
internal abstract record WorkerOptions
{
    internal const string Usage = """
        godwit-worker: serves the disks of one virtual machine over NBD.

          godwit-worker supervise --config DIR --run DIR     keep a worker running (what the host starts)
          godwit-worker serve --config DIR --run DIR         serve until stopped, without a supervisor
          godwit-worker sandbox --config DIR --run DIR       try what a worker must not do, and tell what this kernel refuses
          godwit-worker image info PATH                      describe an image file, as one line of JSON
          godwit-worker image create PATH --size BYTES --format raw|vhdx|vhdx-fixed|vhd|vhd-fixed
          godwit-worker image create PATH --parent PARENT    an image that reads like its parent until it is written to
          godwit-worker image merge LEAF --layer PATH        merge a layer of a chain that nobody uses into its parent

          --folders JSON after an image command: where the parents of an image may be, {"roots":[…],"except":[…]}; all are allowed without it

        DIR of --config holds worker.json; DIR of --run receives nbd.sock and control.sock.
        Example: godwit-worker image create /srv/vms/web.vhdx --size 8589934592 --format vhdx
        """;

    /// <summary>Reads the command line.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>: it makes no sense; the remedy is the usage.</exception>
    internal static WorkerOptions Parse(IReadOnlyList<string> arguments)
    {
        var words = new Arguments(arguments);
        var options = words.NextWord() switch
        {
            "supervise" => new Supervise(words.Folders(), words.Inherited()),
            "serve" => new Serve(
                words.Folders(),
                words.TakeNumber("--nbd-descriptor"),
                words.TakeNumber("--control-descriptor"),
                words.TakeNumber("--supervisor"),
                words.TakeNumber("--restarts") ?? 0,
                words.Limits()),
            "sandbox" => new TrySandbox(words.Folders(), words.Limits()),
            "image" => Image(words),
            "--help" or "-h" or "help" => (WorkerOptions)new Help(),
            var other => throw Arguments.Wrong(other is null ? "no command given" : $"unknown command \"{other}\""),
        };
        words.ExpectEnd();
        return options;
    }

    private static WorkerOptions Image(Arguments words)
    {
        var verb = words.NextWord();
        var path = words.NextWord() ?? throw Arguments.Wrong("no image path given");
        return verb switch
        {
            "info" => new ImageDescribe(Path.GetFullPath(path)),
            "create" when words.Take("--parent") is { } parent => new ImageCreateChild(
                Path.GetFullPath(path), Path.GetFullPath(parent), words.ParentFolders()),
            "merge" => new ImageMerge(
                Path.GetFullPath(path), Path.GetFullPath(words.Take("--layer") ?? throw Arguments.Wrong("--layer is missing")), words.ParentFolders()),
            "create" => new ImageCreate(
                Path.GetFullPath(path),
                words.TakeLong("--size") ?? throw Arguments.Wrong("--size is missing"),
                words.Take("--format") switch
                {
                    "raw" => DiskFormat.Raw,
                    "vhdx" => DiskFormat.VhdxDynamic,
                    "vhdx-fixed" => DiskFormat.VhdxFixed,
                    "vhd" => DiskFormat.VhdDynamic,
                    "vhd-fixed" => DiskFormat.VhdFixed,
                    var other => throw Arguments.Wrong($"--format must be raw, vhdx, vhdx-fixed, vhd or vhd-fixed, not \"{other}\""),
                }),
            _ => throw Arguments.Wrong($"unknown command \"image {verb}\""),
        };
    }

    internal sealed record Help : WorkerOptions;

    internal sealed record Supervise(WorkerFolders Folders, Inheritance? Inherited) : WorkerOptions;

    internal sealed record Serve(
        WorkerFolders Folders, int? NbdDescriptor, int? ControlDescriptor, int? Supervisor, int Restarts, FolderLimits? Limits) : WorkerOptions;

    /// <summary>With limits: the process that tries; without: the one that starts it.</summary>
    internal sealed record TrySandbox(WorkerFolders Folders, FolderLimits? Limits) : WorkerOptions;

    internal sealed record ImageDescribe(string Path) : WorkerOptions;

    internal sealed record ImageCreate(string Path, long Size, DiskFormat Format) : WorkerOptions;

    internal sealed record ImageCreateChild(string Path, string Parent, AllowedFolders? Folders) : WorkerOptions;

    internal sealed record ImageMerge(string Leaf, string Layer, AllowedFolders? Folders) : WorkerOptions;

    /// <summary>The words of a command line, taken one after the other and by name.</summary>
    private sealed class Arguments(IReadOnlyList<string> arguments)
    {
        private readonly List<string> _left = [.. arguments];

        internal static GodwitException Wrong(string title) => new(ErrorCode.InvalidRequest, title, Usage);

        internal string? NextWord()
        {
            if (_left.Count == 0)
                return null;
            var word = _left[0];
            _left.RemoveAt(0);
            return word;
        }

        internal string? Take(string name)
        {
            var at = _left.IndexOf(name);
            if (at < 0)
                return null;
            if (at + 1 >= _left.Count)
                throw Wrong($"{name} has no value");
            var value = _left[at + 1];
            _left.RemoveRange(at, 2);
            return value;
        }

        internal long? TakeLong(string name) =>
            Take(name) is not { } text ? null
            : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value
            : throw Wrong($"{name} must be a whole number, not \"{text}\"");

        internal int? TakeNumber(string name) =>
            TakeLong(name) is not { } value ? null
            : value <= int.MaxValue ? (int)value
            : throw Wrong($"{name} is out of range");

        private bool TakeFlag(string name) => _left.Remove(name);

        internal FolderLimits? Limits() => TakeNumber("--landlock") is { } version
            ? new FolderLimits(version, TakeFlag("--disks-anywhere"), Take("--unlimited-because"), TakeFlag("--links"))
            : null;

        internal Inheritance? Inherited() => TakeNumber("--lock-descriptor") is { } held
            ? new Inheritance(
                held,
                TakeNumber("--nbd-descriptor") ?? throw Wrong("--nbd-descriptor is missing"),
                TakeNumber("--control-descriptor") ?? throw Wrong("--control-descriptor is missing"),
                TakeNumber("--restarts") ?? 0)
            : null;

        internal WorkerFolders Folders() => new(
            Take("--config") ?? throw Wrong("--config is missing"), Take("--run") ?? throw Wrong("--run is missing"));

        internal AllowedFolders? ParentFolders() => Take("--folders") is { } json ? ParentFoldersFile.Parse(json) : null;

        internal void ExpectEnd()
        {
            if (_left.Count > 0)
                throw Wrong($"do not know what to do with \"{_left[0]}\"");
        }
    }
}
