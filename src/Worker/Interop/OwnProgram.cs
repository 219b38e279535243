namespace Godwit.Worker.Interop;

/// <summary>The file this process was started from, and the one that bears its name now: a package manager puts a new file in the place
/// of the old one, which goes on running without a name.</summary>
/// <param name="path">The name at the start of the process, before anything can have replaced it.</param>
internal sealed unsafe class OwnProgram(string path)
{
    /// <summary>Through /proc it is the very file that runs, even if an upgrade has replaced the name.</summary>
    internal const string Running = "/proc/self/exe";

    /// <summary>The name.</summary>
    internal string Path => path;

    /// <summary>Another file bears the name by now. False when there is none.</summary>
    internal bool IsReplaced =>
        FileStatus.Read(path, follow: true) is { } installed && installed.Identity != FileStatus.Read(Running, follow: true)?.Identity;

    /// <summary>Becomes the program of that name: same process, same children, none of today's memory and threads.</summary>
    /// <param name="arguments">All arguments, the program's name first.</param>
    /// <param name="kept">Descriptors that stay open under the same numbers; all others close.</param>
    /// <exception cref="Api.GodwitException">The program cannot be run. Nothing has changed.</exception>
    internal void Become(IReadOnlyList<string> arguments, ReadOnlySpan<int> kept)
    {
        var block = ChildProcess.ToBlock(arguments);
        try
        {
            foreach (var descriptor in kept)
                _ = LibC.Control(descriptor, LibC.SetDescriptorFlags, 0);
            _ = LibC.Execute(path, block);
            var failure = Errno.Exception($"run {path}");
            foreach (var descriptor in kept)
                _ = LibC.Control(descriptor, LibC.SetDescriptorFlags, 1);
            throw failure;
        }
        finally
        {
            ChildProcess.Free(block);
        }
    }
}
