using System.Runtime.InteropServices;
using Godwit.Worker.Interop;
using Godwit.Worker.Logging;
using Godwit.Worker.Serving;
using Godwit.Worker.Supervision;

namespace Godwit.Worker.Sandbox;

/// <summary>
/// <c>godwit-worker sandbox</c>: a process limited as a worker would be tries what a worker must not do, and prints what became of
/// it. Tells an operator what this kernel really holds, without waiting for an attack.
/// </summary>
internal static unsafe class SandboxTrial
{
    private static readonly (string Name, long Number)[] Forbidden =
    [
        ("fork", 57), ("ptrace", 101), ("setuid", 105), ("mount", 165), ("init_module", 175), ("keyctl", 250), ("unshare", 272),
        ("open_by_handle_at", 304), ("process_vm_readv", 310), ("bpf", 321), ("pidfd_getfd", 438), ("chmod", 90), ("connect", 42),
    ];

    /// <summary>Starts the process that tries, as the supervisor starts a worker.</summary>
    /// <returns>Its exit code: 0 when everything was refused that must be.</returns>
    internal static int Run(WorkerFolders folders)
    {
        folders.Prepare();
        return ChildProcess.WaitForEnd(LimitedThread.Run(
            folders,
            ParentFoldersFile.Read(folders.ParentFoldersFile),
            limits => ChildProcess.Start(
                WorkerCommand.Program, WorkerCommand.TrySandbox(folders, limits), WorkerCommand.Environment(folders), [], standardError: 2)));
    }

    /// <summary>The process that tries.</summary>
    internal static int Try(WorkerFolders folders, FolderLimits limits, TextWriter output)
    {
        var sandbox = WorkerConfinement.Complete(limits, new EventLog(TimeProvider.System, null));
        var held = Tell(output, "make a file in the worker's folder", allowed: true, MakeFile(Path.Combine(folders.Config, "sandbox.trial")));
        held &= Tell(output, "make a file elsewhere", allowed: false, MakeFile("/var/tmp/godwit-sandbox.trial"));
        held &= Tell(output, "read a file elsewhere", allowed: false, Error(LibC.Open("/etc/passwd", LibC.CloseOnExec, 0)));
        held &= Tell(output, "start a program", allowed: false, StartProgram());
        held &= Tell(output, "open a TCP socket", allowed: false, Error(LibC.Socket(2, LibC.StreamSocket | LibC.SocketCloseOnExec, 0)));
        held &= Tell(output, "signal another process", allowed: false, Error(LibC.Signal(LibC.ParentProcess(), 0)));
        foreach (var (name, number) in Forbidden)
            held &= Tell(output, name, allowed: false, Error((int)LibC.Call(number, 0, 0, 0, 0)));
        output.WriteLine(held && sandbox.Gaps.Count == 0 ? "the sandbox holds" : "the sandbox has gaps");
        return held ? 0 : 1;
    }

    private static bool Tell(TextWriter output, string attempt, bool allowed, int error)
    {
        // Only these are refusals: any other error means that the kernel went to work on it.
        var refused = error is 1 or 13 or 97;
        output.WriteLine($"{attempt}: {(refused ? "refused" : "allowed")} ({error})");
        return refused != allowed;
    }

    private static int MakeFile(string path)
    {
        var error = Error(LibC.Open(path, LibC.ReadWrite | LibC.Create | LibC.CloseOnExec | LibC.NoFollow, 0b110_000_000));
        if (error == 0)
            _ = LibC.Unlink(path);
        return error;
    }

    private static int StartProgram()
    {
        var path = Marshal.StringToCoTaskMemUTF8("/bin/true");
        var arguments = stackalloc nint[2] { path, 0 };
        return Error((int)LibC.Call(59, path, (long)arguments, 0, 0));
    }

    private static int Error(int result) => result < 0 ? Marshal.GetLastPInvokeError() : 0;
}
