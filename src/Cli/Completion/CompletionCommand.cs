using System.CommandLine;

namespace Godwit.Cli.Completion;

/// <summary>godwit completion: a script that makes a shell ask this program what can come next.</summary>
internal static class CompletionCommand
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var which = new Argument<string>("SHELL") { Description = "bash, zsh or fish" };
        which.AcceptOnlyFromAmong("bash", "zsh", "fish");
        var verb = new Verb("completion", "Writes a completion script for a shell", "source <(godwit completion bash)") { which };
        verb.Does(shell, global, (session, _) =>
        {
            session.Shell.Out.Write(Script(session.Get(which)));
            return Task.FromResult(ExitCode.Ok);
        });
        return verb;
    }

    // "[suggest:N]" is System.CommandLine's own question: the words that fit at column N. Where there are none
    // (a path, a name), the shell completes files.
    private static string Script(string shell) => shell switch
    {
        "bash" => """
            _godwit() {
                local IFS=$'\n' word="${COMP_WORDS[COMP_CWORD]}"
                COMPREPLY=($(compgen -W "$(godwit "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null)" -- "$word"))
            }
            complete -o default -F _godwit godwit

            """,
        "zsh" => """
            #compdef godwit
            _godwit() {
                local -a found
                found=("${(@f)$(godwit "[suggest:${CURSOR}]" "${BUFFER}" 2>/dev/null)}")
                [[ -n "${found[1]}" ]] && compadd -a found || _files
            }
            compdef _godwit godwit

            """,
        _ => """
            complete -c godwit -a '(godwit "[suggest:"(commandline -C)"]" (commandline) 2>/dev/null)'

            """,
    };
}
